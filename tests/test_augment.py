"""Every registered augmentation, and the policy that applies them."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cifar_dist import data
from cifar_dist.augment import AUGMENTATIONS, Policy
from cifar_dist.augment.policy import _FRAMES
from cifar_dist.augment.steps import Mixing
from cifar_dist.errors import ConfigError
from tests.pictures import augmented, changed, labels_of, mixed

N = 200
EPOCH = 3
NAMES = AUGMENTATIONS.names
WITH_SHARE = [name for name in NAMES if "p" in AUGMENTATIONS.resolved({"name": name})]
# Each step by itself, so its share of changed images is not p.
CHAINS = {"albumentations", "classic"}


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (N, 3, 32, 32), generator=generator, dtype=torch.uint8)


def applied(
    policy: Policy, pixels: Tensor, indices: Tensor, table: Tensor, epoch: int = EPOCH
) -> tuple[Tensor, Tensor]:
    return policy.apply(pixels, labels_of(pixels), indices, table, epoch)


@pytest.mark.parametrize("name", NAMES)
def test_every_augmentation_changes_images_and_keeps_their_form(name: str, pixels: Tensor) -> None:
    kept = pixels.clone()
    result = augmented(pixels, {"name": name})
    assert (result.shape, result.dtype) == (pixels.shape, torch.uint8)
    assert changed(pixels, result).float().mean() > 0.05
    assert torch.equal(pixels, kept)


@pytest.mark.parametrize("name", NAMES)
def test_every_augmentation_repeats_itself(name: str, pixels: Tensor) -> None:
    first = augmented(pixels, {"name": name})
    torch.manual_seed(99)
    assert torch.equal(first, augmented(pixels, {"name": name}))


@pytest.mark.parametrize("name", NAMES)
def test_every_augmentation_differs_between_epochs(name: str, pixels: Tensor) -> None:
    first, second = (augmented(pixels, {"name": name}, epoch=epoch) for epoch in (0, 1))
    assert changed(first, second).float().mean() > 0.1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", [0, 1])
def test_how_an_epoch_is_cut_into_batches_and_ranks_changes_no_image_and_no_target(
    name: str, place: int, pixels: Tensor
) -> None:
    components: list[dict[str, Any]] = [{"name": "cutout"}]
    components.insert(place, {"name": name})
    images, targets = mixed(pixels, *components, epoch=EPOCH)
    policy = Policy(components)
    table = policy.table(N, 0, EPOCH)
    for batch in torch.split(data.permutation(N, 7, 0), 64):
        for rank in range(3):
            mine = data.shard(batch, rank, 3)
            part, part_targets = applied(policy, pixels, mine, table)
            assert torch.equal(part, images[mine])
            assert torch.equal(part_targets, targets[mine])


@pytest.mark.parametrize("name", NAMES)
def test_an_image_alone_comes_out_as_in_a_crowd(name: str, pixels: Tensor) -> None:
    policy = Policy([{"name": name}])
    table = policy.table(N, 0, EPOCH)
    whole, _ = applied(policy, pixels, torch.arange(N), table)
    for index in range(5):
        alone, _ = applied(policy, pixels, torch.tensor([index]), table)
        assert torch.equal(alone[0], whole[index])


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_shard_stays_empty(name: str, pixels: Tensor) -> None:
    policy = Policy([{"name": name}])
    images, targets = applied(policy, pixels, torch.arange(0), policy.table(N, 0, 0))
    assert images.shape == (0, 3, 32, 32)
    assert len(targets) == 0


@pytest.mark.parametrize("name", NAMES)
def test_targets_are_classes_unless_images_are_mixed(name: str, pixels: Tensor) -> None:
    _, targets = mixed(pixels, {"name": name})
    if isinstance(AUGMENTATIONS.build({"name": name}), Mixing):
        assert (targets.shape, targets.dtype) == ((N, 10), torch.float32)
        assert torch.allclose(targets.sum(1), torch.ones(N))
    else:
        assert torch.equal(targets, labels_of(pixels))


@pytest.mark.parametrize("name", NAMES)
def test_two_of_a_kind_in_one_list_draw_each_for_itself(name: str, pixels: Tensor) -> None:
    once, twice = (Policy([{"name": name}] * count) for count in (1, 2))
    assert twice.table(N, 0, 0).shape[1] == 2 * once.table(N, 0, 0).shape[1]
    first, second = (augmented(pixels, *[{"name": name}] * count) for count in (1, 2))
    assert (first != second).any()


@pytest.mark.parametrize("name", WITH_SHARE)
def test_p_0_changes_nothing(name: str, pixels: Tensor) -> None:
    assert torch.equal(augmented(pixels, {"name": name, "p": 0.0}), pixels)


@pytest.mark.parametrize("name", [name for name in WITH_SHARE if name not in CHAINS])
def test_a_share_p_of_the_images_is_augmented(name: str, pixels: Tensor) -> None:
    # A strong change now and then is none: a turn by less than half a level, a partner of its own.
    count = int(changed(pixels, augmented(pixels, {"name": name, "p": 0.25})).sum())
    assert count == pytest.approx(0.25 * N, abs=25)
    assert int(changed(pixels, augmented(pixels, {"name": name, "p": 1.0})).sum()) > 0.9 * N


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
        corner, _ = applied(policy, pixels, torch.arange(N), table)
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
    images, labels = applied(policy, pixels, indices, policy.table(N, 0, 0))
    assert torch.equal(images, pixels[indices])
    assert torch.equal(labels, indices % 10)


def test_a_policy_follows_new_pixels(pixels: Tensor) -> None:
    policy = Policy([CROP])
    table, indices = policy.table(N, 0, 0), torch.arange(N)
    applied(policy, pixels, indices, table)
    black, _ = applied(policy, torch.zeros_like(pixels), indices, table)
    assert not black.any()


def test_a_misspelt_augmentation_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'cutout'"):
        Policy([{"name": "cutuot"}])


def test_policies_that_pad_alike_share_one_copy_which_ends_with_the_pixels() -> None:
    def padded(pixels: Tensor, padding: int) -> Tensor:
        policy = Policy([{"name": "pad_crop", "padding": padding}])
        policy.apply(pixels, labels, rows, policy.table(8, 0, 0), 0)
        assert policy._resident is not None
        return policy._resident[1]

    pixels, labels = torch.zeros(8, 3, 32, 32, dtype=torch.uint8), torch.arange(8)
    rows = torch.arange(8)
    first = padded(pixels, 2)
    assert padded(pixels, 2) is first
    assert padded(pixels, 3) is not first
    pixels += 1
    assert padded(pixels, 3).eq(1).all(), "what was written to is padded again"
    del pixels
    assert _FRAMES._kept is None
