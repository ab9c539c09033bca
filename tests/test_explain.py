"""Maps of any model: exact ones equal Grad-CAM, they find the object, and the model stays as is."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cifar_dist.data import Images, normalize
from cifar_dist.errors import ConfigError
from cifar_dist.evidence import Method
from cifar_dist.explain import Explainer, activation_maps
from cifar_dist.models import MODELS
from cifar_dist.optim.eager import Adam
from cifar_dist.world import SynchronizedBatchNorm
from tests.tiny import pictures

EXACT = {"resnet18_cam": "stages", "dilated_dsc": "features"}
QUADRANTS = ((0, 0), (0, 16), (16, 0), (16, 16))
METHODS: tuple[Method, ...] = ("cam", "grad_cam")


def built(name: str) -> nn.Module:
    """Give a model whose batch norms have seen some images, in training mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MODELS.build({"name": name}).train()
        with torch.no_grad():
            model(normalize(pictures(8).pixels))
    return model


@pytest.mark.parametrize("name", EXACT)
def test_a_map_from_the_head_weights_equals_grad_cam_up_to_scale(name: str) -> None:
    model, images = built(name), pictures(10, seed=1)
    exact, approximate = Explainer(model), Explainer(model, EXACT[name], "grad_cam")
    assert (exact.method, approximate.method) == ("cam", "grad_cam")
    maps = [one(images.pixels, images.labels).maps.double() for one in (exact, approximate)]
    told = [pair for pair in zip(*maps, strict=True) if pair[0].max() > 0]
    assert len(told) >= 3  # an untrained net has classes that nothing speaks for
    assert all(torch.corrcoef(torch.stack(pair).flatten(1))[0, 1] > 0.999 for pair in told)
    assert torch.equal(maps[0].amax((1, 2)), maps[1].amax((1, 2)))


@pytest.mark.parametrize("name", MODELS.names)
def test_every_model_gives_maps_of_at_least_4x4_between_0_and_1(name: str) -> None:
    model, images = built(name), pictures(2)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    numbers = torch.random.get_rng_state()
    maps, logits = Explainer(model)(images.pixels)
    assert min(maps.shape[1:]) >= 4
    assert maps.min() >= 0
    assert all(top in (0, 1) for top in maps.amax((1, 2)).tolist())
    assert torch.equal(torch.random.get_rng_state(), numbers)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())
    model.eval()
    assert torch.allclose(logits, model(normalize(images.pixels)), atol=1e-5)


def test_each_module_gets_its_own_mode_back() -> None:
    model = built("dilated_dsc")
    frozen = next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d))
    frozen.eval()
    Explainer(model)(pictures(1).pixels)
    assert not frozen.training
    assert model.training


@pytest.mark.parametrize("name", ["dilated_dsc", "lenet5"])
def test_frozen_weights_are_explained_too(name: str) -> None:
    model, images = built(name), pictures(2)
    expected = Explainer(model)(images.pixels).maps
    model.requires_grad_(False)
    assert torch.equal(Explainer(model)(images.pixels).maps, expected)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_batch_norms_over_all_ranks_are_folded_as_any_other() -> None:
    model, images = built("dilated_dsc"), pictures(2)
    expected = Explainer(model)(images.pixels).maps
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, SynchronizedBatchNorm(child))
    explainer = Explainer(model)
    assert explainer.method == "cam"
    assert torch.allclose(explainer(images.pixels).maps, expected, atol=1e-5)


class Bent(nn.Module):
    """A net whose head looks linear to who sees its modules alone."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, 4, padding=1), nn.ReLU())
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(8, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Square what was pooled."""
        logits: Tensor = self.head(self.pool(self.features(images)).flatten(1).square())
        return logits


def test_a_head_that_is_not_linear_is_never_called_exact() -> None:
    assert Explainer(Bent()).method == "grad_cam"
    assert Explainer(Bent()).layer == "features"
    with pytest.raises(ConfigError, match="use grad_cam"):
        Explainer(Bent(), method="cam")


@pytest.mark.parametrize(
    "layers",
    [
        [nn.AvgPool2d(8), nn.Flatten()],
        [nn.Conv2d(3, 10, 1), nn.ReLU(), nn.AvgPool2d(32), nn.Flatten()],
        [nn.AvgPool2d(16), nn.Flatten(), nn.Linear(12, 10)],
        [nn.Conv2d(3, 4, 3, 4), nn.MaxPool2d(8), nn.Flatten(), nn.Linear(4, 10)],
    ],
)
def test_a_net_without_a_linear_head_has_no_exact_map(layers: list[nn.Module]) -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), *layers)
    assert Explainer(model).method == "grad_cam"


def test_a_misspelled_layer_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'stages'"):
        Explainer(built("resnet18_cam"), "stage")
    with pytest.raises(ConfigError, match="no layer with a map"):
        Explainer(built("lenet5"), "classifier")


def test_an_exact_map_is_of_the_layer_before_the_head_alone() -> None:
    model = built("dilated_dsc")
    assert Explainer(model, "features.2").method == "grad_cam"
    with pytest.raises(ConfigError, match="use layer features"):
        Explainer(model, "features.2", "cam")


def test_any_layer_with_a_map_can_be_named_even_one_that_is_overwritten_in_place() -> None:
    maps, _ = Explainer(built("resnet18_imagenet"), "layer1.0.bn1")(pictures(2).pixels)
    assert maps.shape == (2, 8, 8)


def test_the_maps_of_chosen_images_say_whose_they_are() -> None:
    images, chosen = pictures(30), torch.tensor([29, 3, 17])
    found = activation_maps(built("lenet5"), images, chosen, torch.tensor([1, 2, 3]))
    alone = activation_maps(built("lenet5"), images, chosen[1:2], torch.tensor([2]))
    assert (found.indices.tolist(), found.targets.tolist()) == ([29, 3, 17], [1, 2, 3])
    assert (found.layer, found.method) == ("features", "grad_cam")
    assert found.maps[1] == pytest.approx(alone.maps[0], abs=1e-5)


def objects(count: int) -> tuple[Images, list[tuple[int, int]]]:
    """Draw noise with one patch whose color is the class, and give the corner of its quadrant."""
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 80, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.arange(count) % 3
    corners = []
    for number, (image, label) in enumerate(zip(pixels, labels.tolist(), strict=True)):
        corners.append(QUADRANTS[number // 3 % 4])
        down, right = torch.randint(2, 6, (2,), generator=generator).tolist()
        top, left = corners[-1][0] + down, corners[-1][1] + right
        image[label, top : top + 9, left : left + 9] = 255
    return Images(pixels, labels), corners


@pytest.fixture(scope="module")
def finder() -> nn.Module:
    """Train a small net to name the patch, wherever it lies."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, padding=1),
            nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
        )  # fmt: skip
        images, _ = objects(96)
        optimizer = Adam(model.parameters(), 0.02)
        for _ in range(40):
            loss = F.cross_entropy(model(normalize(images.pixels)), images.labels)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    return model


@pytest.mark.parametrize("method", METHODS)
def test_a_map_lies_in_the_quadrant_of_the_object(finder: nn.Module, method: Method) -> None:
    images, corners = objects(24)
    maps, logits = Explainer(finder, "3", method)(images.pixels, images.labels)
    assert (logits.argmax(1) == images.labels).all()
    for activation, corner in zip(maps, corners, strict=True):
        top, left = (edge // 4 for edge in corner)
        inside = activation[top : top + 4, left : left + 4].sum()
        assert inside > 0.6 * activation.sum()
