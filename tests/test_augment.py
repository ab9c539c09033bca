"""Every registered augmentation, and the policy that applies them."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cifar_dist import data
from cifar_dist.augment import AUGMENTATIONS, Policy
from cifar_dist.errors import ConfigError

N = 200
EPOCH = 3
WITH_SHARE = [name for name in AUGMENTATIONS.names if "p" in AUGMENTATIONS.resolved({"name": name})]


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (N, 3, 32, 32), generator=generator, dtype=torch.uint8)


def augmented(pixels: Tensor, *components: dict[str, Any], epoch: int = EPOCH) -> Tensor:
    policy = Policy(components)
    table = policy.table(len(pixels), 0, epoch)
    return policy.apply(pixels, torch.arange(len(pixels)), table, epoch)


def changed(before: Tensor, after: Tensor) -> Tensor:
    return (before != after).flatten(1).any(1)


@pytest.mark.parametrize("name", AUGMENTATIONS.names)
def test_every_augmentation_changes_images_and_keeps_their_form(name: str, pixels: Tensor) -> None:
    kept = pixels.clone()
    result = augmented(pixels, {"name": name})
    assert (result.shape, result.dtype) == (pixels.shape, torch.uint8)
    assert changed(pixels, result).float().mean() > 0.3
    assert torch.equal(pixels, kept)


@pytest.mark.parametrize("name", AUGMENTATIONS.names)
def test_every_augmentation_repeats_itself(name: str, pixels: Tensor) -> None:
    first = augmented(pixels, {"name": name})
    torch.manual_seed(99)
    assert torch.equal(first, augmented(pixels, {"name": name}))


@pytest.mark.parametrize("name", AUGMENTATIONS.names)
def test_every_augmentation_differs_between_epochs(name: str, pixels: Tensor) -> None:
    first, second = (augmented(pixels, {"name": name}, epoch=epoch) for epoch in (0, 1))
    assert changed(first, second).float().mean() > 0.3


@pytest.mark.parametrize("name", AUGMENTATIONS.names)
@pytest.mark.parametrize("place", [0, 1])
def test_how_an_epoch_is_cut_into_batches_and_ranks_changes_no_image(
    name: str, place: int, pixels: Tensor
) -> None:
    components: list[dict[str, Any]] = [{"name": "cutout"}]
    components.insert(place, {"name": name})
    whole = augmented(pixels, *components)
    policy = Policy(components)
    table = policy.table(N, 0, EPOCH)
    for batch in torch.split(data.permutation(N, 7, 0), 64):
        for rank in range(3):
            mine = data.shard(batch, rank, 3)
            assert torch.equal(policy.apply(pixels, mine, table, EPOCH), whole[mine])


@pytest.mark.parametrize("name", AUGMENTATIONS.names)
def test_an_empty_shard_stays_empty(name: str, pixels: Tensor) -> None:
    policy = Policy([{"name": name}])
    nothing = policy.apply(pixels, torch.arange(0), policy.table(N, 0, 0), 0)
    assert nothing.shape == (0, 3, 32, 32)


@pytest.mark.parametrize("name", WITH_SHARE)
@pytest.mark.parametrize(("p", "least", "most"), [(0.0, 0, 0), (0.25, 20, 140), (1.0, N, N)])
def test_a_share_p_of_the_images_is_augmented(
    name: str, p: float, least: int, most: int, pixels: Tensor
) -> None:
    # The upper bound leaves room for a pipeline of three, each with p.
    count = int(changed(pixels, augmented(pixels, {"name": name, "p": p})).sum())
    assert least <= count <= most


def test_the_pipeline_of_a_library_decides_each_step_on_its_own(pixels: Tensor) -> None:
    share = changed(pixels, augmented(pixels, {"name": "albumentations"})).float().mean()
    assert share == pytest.approx(1 - 0.5**3, abs=0.08)


def test_alternating_flip_shows_each_image_both_ways_in_any_two_epochs(pixels: Tensor) -> None:
    for epoch in (0, 1, 2):
        shown = [
            augmented(pixels, {"name": "alternating_flip"}, epoch=each)
            for each in (epoch, epoch + 1)
        ]
        assert torch.equal(shown[0], shown[1].flip(-1))
        assert 60 < int(changed(pixels, shown[0]).sum()) < 140


def reference(pixels: Tensor, components: list[dict[str, Any]], table: Tensor) -> np.ndarray:
    """Flip and crop one image after another, the way the documentation of both says."""
    results = []
    for image, row in zip(pixels.numpy(), table.tolist(), strict=True):
        result, draws = image, iter(row)
        for component in components:
            if component["name"] == "pad_crop":
                frame = ((0, 0), (4, 4), (4, 4))
                padded = np.pad(result, frame, mode=component.get("fill", "reflect"))
                y, x = int(next(draws) * 9), int(next(draws) * 9)
                result = padded[:, y : y + 32, x : x + 32]
            elif (next(draws) < 0.5) != (component["name"] == "alternating_flip"):  # odd epoch
                result = result[:, :, ::-1]
        results.append(result)
    return np.stack(results)


CROP, FLIP, TURN = {"name": "pad_crop"}, {"name": "horizontal_flip"}, {"name": "alternating_flip"}
BLACK = {"name": "pad_crop", "fill": "constant"}


@pytest.mark.parametrize(
    "components",
    [
        [CROP],
        [BLACK],
        [CROP, FLIP],
        [FLIP, CROP],
        [TURN, BLACK],
        [FLIP, TURN, CROP, FLIP],
        [CROP] * 2,
    ],
    ids=lambda components: "-".join(component["name"] for component in components),
)
def test_the_fused_gather_equals_cropping_and_flipping_one_by_one(
    components: list[dict[str, Any]], pixels: Tensor
) -> None:
    table = Policy(components).table(N, 0, EPOCH)
    expected = reference(pixels, components, table)
    assert np.array_equal(augmented(pixels, *components).numpy(), expected)


def test_the_largest_draw_stays_inside_the_frame(pixels: Tensor) -> None:
    for padding in range(1, 17):
        policy = Policy([{"name": "pad_crop", "padding": padding, "fill": "constant"}])
        table = torch.full((N, 2), 1 - 2**-24)
        corner = policy.apply(pixels, torch.arange(N), table, 0)
        kept = 32 - padding
        assert torch.equal(corner[..., :kept, :kept], pixels[..., padding:, padding:])


def test_cutout_covers_one_square_with_the_mean_color(pixels: Tensor) -> None:
    mean = [round(255 * value) for value in data.MEAN]
    covered = augmented(pixels, {"name": "cutout", "size": 8})
    color = torch.tensor(mean, dtype=torch.uint8).view(3, 1, 1)
    box = (covered == color).all(1)
    assert int(box.flatten(1).sum(1).max()) <= 64 + 1  # a pixel may be of that color by chance
    assert int(box.flatten(1).sum(1).min()) >= 16
    assert torch.equal(covered.masked_fill(box[:, None], 0), pixels.masked_fill(box[:, None], 0))


def test_no_augmentation_gathers_the_images_as_they_are(pixels: Tensor) -> None:
    indices = torch.tensor([5, 2, 9])
    policy = Policy([])
    assert torch.equal(policy.apply(pixels, indices, policy.table(N, 0, 0), 0), pixels[indices])


def test_a_policy_follows_new_pixels(pixels: Tensor) -> None:
    policy = Policy([CROP])
    table, indices = policy.table(N, 0, 0), torch.arange(N)
    policy.apply(pixels, indices, table, 0)
    black = policy.apply(torch.zeros_like(pixels), indices, table, 0)
    assert not black.any()


def test_a_misspelt_augmentation_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'cutout'"):
        Policy([{"name": "cutuot"}])
