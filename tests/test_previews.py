"""A preview shows exactly what a learner makes of its images and its rates."""

from typing import Any

import numpy as np
import pytest
import torch

from cifar_dist.augment import AUGMENTATIONS
from cifar_dist.data import Images
from cifar_dist.learner import Learner
from cifar_dist.optim import SCHEDULES
from cifar_dist.previews import augmentation_sheet, schedule
from tests.tiny import FP32, make_recipe, pictures, take_steps

MIXED = ({"name": "pad_crop", "padding": 4}, {"name": "cutout"}, {"name": "cutmix", "p": 1.0})


def places(shown: np.ndarray[Any, Any], images: Images) -> torch.Tensor:
    """Find the images of a sheet's first column among those it was made from."""
    same = (torch.from_numpy(shown[:, 0])[:, None] == images.pixels).flatten(2).all(2)
    assert same.sum(1).eq(1).all()
    return same.float().argmax(1)


@pytest.mark.parametrize("name", AUGMENTATIONS.names)
def test_every_augmentation_can_be_shown_beside_the_image_itself(name: str) -> None:
    images = pictures(40)
    shown = augmentation_sheet(make_recipe(augmentation=[{"name": name}]), images, columns=4)
    assert (shown.shape, shown.dtype) == ((6, 4, 3, 32, 32), np.uint8)
    places(shown, images)
    assert (shown[:, 1:] != shown[:, :1]).any()


def test_a_column_is_what_the_learner_trains_on_in_that_epoch() -> None:
    images, recipe = pictures(60), make_recipe(augmentation=MIXED, seed=3)
    shown, learner = augmentation_sheet(recipe, images, columns=3), Learner(recipe, images, FP32)
    for epoch in range(2):
        drawn, _ = learner._policy.apply(
            learner.pixels, learner.labels, places(shown, images), learner._draws(), epoch
        )
        assert np.array_equal(shown[:, epoch + 1], drawn.numpy())
        take_steps(learner, learner.steps_per_epoch)


def test_the_same_seed_gives_the_same_sheet_and_another_seed_another() -> None:
    images = pictures(60)
    first, same, other = (
        augmentation_sheet(make_recipe(augmentation=MIXED, seed=seed), images, columns=3)
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_the_rows_show_different_classes_as_far_as_there_are_images() -> None:
    images, recipe = pictures(30), make_recipe(augmentation=())
    assert len(set(images.labels[places(augmentation_sheet(recipe, images), images)])) == 6
    few = images.select(torch.arange(2))
    shown = augmentation_sheet(recipe, few)
    assert len(shown) == 2
    assert (shown == shown[:, :1]).all()


@pytest.mark.parametrize("name", SCHEDULES.names)
def test_a_schedule_has_the_rate_that_every_epoch_of_a_learner_ends_with(name: str) -> None:
    recipe = make_recipe(schedule={"name": name}, warmup_epochs=1.5, epochs=8, batch_size=25)
    learner = Learner(recipe, pictures(50), FP32)
    used = {}
    for epoch in range(1, 9):
        take_steps(learner, learner.steps_per_epoch)
        used[float(epoch)] = learner.lr
    planned = dict(schedule(recipe, 50, learner.history))
    assert {epoch: planned[epoch] for epoch in used} == pytest.approx(used)


def test_a_schedule_with_a_warmup_starts_below_its_peak() -> None:
    recipe = make_recipe(schedule={"name": "cosine"}, warmup_epochs=2, epochs=10)
    points = schedule(recipe, 5_000)
    peak, highest = max(points, key=lambda point: point[1])
    assert points[0][1] < 0.1 * highest
    assert peak == pytest.approx(2, abs=0.1)


def test_a_long_schedule_is_thinned_and_keeps_both_ends() -> None:
    recipe = make_recipe(schedule={"name": "linear"}, epochs=100, batch_size=10)
    points = schedule(recipe, 1_000)
    assert len(points) <= 1_000
    assert [points[0][0], points[-1][0]] == pytest.approx([0.01, 100])


def test_a_plateau_is_known_as_far_as_its_losses_are() -> None:
    recipe = make_recipe(schedule={"name": "plateau"}, epochs=10)
    assert schedule(recipe, 1_000)[-1][0] == 1
