"""What a recipe does to images and rates, before or without training: for people to look at."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cifar_dist import seeds
from cifar_dist.augment import Policy
from cifar_dist.config import Recipe
from cifar_dist.data import Images
from cifar_dist.documents import EpochRecord
from cifar_dist.learner import compared_losses, step_counts
from cifar_dist.optim import OPTIMIZERS, SCHEDULES, factor

_POINTS = 1_000  # of a schedule: more than a figure has pixels across


def augmentation_sheet(
    recipe: Recipe, images: Images, rows: int = 6, columns: int = 8
) -> NDArray[np.uint8]:
    """Show training images [rows, columns, 3, 32, 32] as a run of `recipe` sees them.

    Column 0 is an image as it is, column k what the learner makes of it in epoch k. `images` must
    be all that the run trains on: draws belong to an image's place, and a mix takes any other.
    """
    chosen = _chosen(images.labels, rows, recipe.seed)
    policy = Policy([component.model_dump() for component in recipe.augmentation])
    shown = [images.pixels[chosen]]
    for epoch in range(columns - 1):
        table = policy.table(len(images), recipe.seed, epoch)
        shown.append(policy.apply(images.pixels, images.labels, chosen, table, epoch)[0])
    sheet: NDArray[np.uint8] = torch.stack(shown, dim=1).numpy()
    return sheet


def schedule(
    recipe: Recipe, images: int, history: Sequence[EpochRecord] = ()
) -> list[tuple[float, float]]:
    """Give (epochs done, learning rate of the step that ends there), at most 1,000 of them.

    Of a plateau, which follows validation losses, only the epochs up to the one after `history`.
    """
    per_epoch, total, warmup = step_counts(recipe, images)
    follows = SCHEDULES.build(recipe.schedule.model_dump())
    base = OPTIMIZERS.resolved(recipe.optimizer.model_dump())["lr"]
    points, known = [], total
    if recipe.schedule.name == "plateau":
        known = min(total, (len(history) + 1) * per_epoch)
    for step in sorted({round(step) for step in np.linspace(0, known - 1, _POINTS)}):
        losses = compared_losses(recipe, history[: step // per_epoch])
        points.append(((step + 1) / per_epoch, base * factor(follows, step, total, warmup, losses)))
    return points


def _chosen(labels: Tensor, rows: int, seed: int) -> Tensor:
    """Draw images of different classes, as far as there are some."""
    generator = torch.Generator().manual_seed(seeds.derive(seed, "augmentation sheet"))
    order = torch.randperm(len(labels), generator=generator)
    last = dict(zip(labels[order].tolist(), order.tolist(), strict=True))
    drawn = dict.fromkeys([*last.values(), *order.tolist()])
    return torch.tensor(list(drawn)[:rows])
