"""Operations of the automatic policies: each as torchvision has it, drawn evenly."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from cifar_dist.augment import Policy
from cifar_dist.augment.automatic import OPERATIONS, Automatic
from cifar_dist.augment.steps import AUGMENTATIONS
from tests.pictures import augmented, changed, labels_of, pictures

NAMES = list(OPERATIONS)
THEIRS = {"saturation": "Color", "autocontrast": "AutoContrast"}
SPACES = {"rand_augment": v2.RandAugment, "trivial_augment": v2.TrivialAugmentWide}
# Where torchvision cuts levels off instead of rounding them.
CUT_OFF = {"brightness", "saturation", "contrast", "sharpness", "autocontrast"}


def by_torchvision(image: Tensor, policy: str, name: str, size: int, sign: float) -> Tensor:
    transform = SPACES[policy](interpolation=InterpolationMode.BILINEAR)
    theirs = THEIRS.get(name, "".join(part.title() for part in name.split("_")))
    magnitudes, signed = transform._AUGMENTATION_SPACE[theirs]
    found = magnitudes(31, 32, 32)
    magnitude = 0.0 if found is None else float(found[size]) * (sign if signed else 1)
    return transform._apply_image_or_video_transform(
        image, theirs, magnitude, interpolation=InterpolationMode.BILINEAR, fill={Tensor: None}
    )


def draws_for(policy: str, name: str, size: int, sign: float) -> Tensor:
    """Give the one row of draws that chooses an operation, a magnitude and a sign."""
    first = (NAMES.index(name) + 0.5) / len(NAMES)
    return torch.tensor([[first, (size + 0.5) / 31, 0.25 if sign < 0 else 0.75]])


@pytest.mark.parametrize("policy", SPACES)
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_equals_that_of_torchvision(policy: str, name: str) -> None:
    for size, sign, image in zip((3, 9, 16, 30), (1, -1, -1, 1), pictures(), strict=False):
        options = {"n": 1, "magnitude": size} if policy == "rand_augment" else {}
        step = AUGMENTATIONS.build({"name": policy, **options})
        assert isinstance(step, Automatic)
        ours = step(image[None].clone(), draws_for(policy, name, size, sign), 0)[0]
        apart = (ours.int() - by_torchvision(image, policy, name, size, sign).int()).abs()
        assert apart.max() <= 1, (size, sign)
        assert apart.float().mean() < (0.8 if name in CUT_OFF else 0.02)


def test_each_operation_is_drawn_for_an_even_share_of_the_images() -> None:
    n = 1400
    policy = Policy([{"name": "trivial_augment"}])
    kinds = (policy.table(n, 0, 0)[:, 0] * len(NAMES)).long().bincount(minlength=len(NAMES))
    assert (kinds - n / len(NAMES)).abs().max() < 4 * (n / len(NAMES)) ** 0.5


def test_operations_of_a_list_act_one_after_another() -> None:
    images = pictures()[:200]
    policy = Policy([{"name": "rand_augment", "n": 2}])
    table = policy.table(200, 0, 0)
    result, _ = policy.apply(images, labels_of(images), torch.arange(200), table, 0)
    single = Policy([{"name": "rand_augment", "n": 1}])
    for columns in table.split(3, dim=1):
        images, _ = single.apply(images, labels_of(images), torch.arange(200), columns, 0)
    assert torch.equal(result, images)


def test_a_magnitude_of_0_leaves_images_to_the_histogram_operations() -> None:
    result = augmented(pictures(), {"name": "rand_augment", "n": 1, "magnitude": 0})
    # Solarizing from level 255 on still blackens what is white.
    least, most = 11 / 14 - 0.04, 12 / 14 + 0.04
    assert least < 1 - float(changed(pictures(), result).float().mean()) < most


@pytest.mark.parametrize("level", [0, 77, 255])
def test_an_image_of_one_level_survives_the_histogram_operations(level: int) -> None:
    flat = torch.full((2, 3, 32, 32), level, dtype=torch.uint8)
    for name in ("autocontrast", "equalize"):
        assert torch.equal(OPERATIONS[name](flat, torch.zeros(2)), flat)
