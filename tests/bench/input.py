"""Rows of the input: how many images per second are augmented and normalized."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from cifar_dist.augment import Policy
from cifar_dist.data import Images, normalize, permutation
from tests.bench import seed_loop
from tests.bench.ours import BATCH, training_images
from tests.bench.rounds import Row, Setting, Side, rate

_WORKERS = 2
CROP_AND_FLIP: list[dict[str, Any]] = [
    {"name": "horizontal_flip"},
    {"name": "pad_crop", "padding": 4},
]


def ours(
    images: Images,
    components: list[dict[str, Any]],
    seed: int,
    *,
    batch: int = BATCH,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Iterator[Tensor]:
    """Give normalized batches for ever, as a training makes them: an order and draws per epoch."""
    policy, epoch = Policy(components), 0
    while True:
        order = permutation(len(images), seed, epoch).to(images.pixels.device)
        table = policy.table(len(images), seed, epoch).to(images.pixels.device)
        for indices in torch.split(order, batch):
            pixels, _ = policy.apply(images.pixels, images.labels, indices, table, epoch)
            yield normalize(pixels, memory_format)
        epoch += 1


def _theirs(images: Images, pipeline: seed_loop.Pipeline, workers: int) -> Iterator[Tensor]:
    loader = seed_loop.loader(images, pipeline, BATCH, workers)
    while True:
        for pixels, _ in loader:
            yield pixels


def _sides(
    components: list[dict[str, Any]], pipeline: Callable[[], seed_loop.Pipeline]
) -> Callable[[Setting], tuple[Side, Side]]:
    def sides(setting: Setting) -> tuple[Side, Side]:
        images = training_images(setting)
        mine = ours(images, components, setting.seed)

        @functools.cache
        def theirs() -> Iterator[Tensor]:
            return _theirs(images, pipeline(), 0 if setting.smoke else _WORKERS)

        return (
            lambda: rate(lambda: len(next(mine)), setting.seconds),
            lambda: rate(lambda: len(next(theirs())), setting.seconds),
        )

    return sides


ROWS = (
    Row(
        name="crop_flip",
        what="crop, flip and normalize ÷ the same by albumentations in a DataLoader with 2 workers",
        unit="images/s",
        goal=">= 8",
        sides=_sides(CROP_AND_FLIP, seed_loop.crop_and_flip),
    ),
    Row(
        name="classic",
        what="flip, shift-scale-rotate, hole and normalize ÷ the same by albumentations, 2 workers",
        unit="images/s",
        goal=">= 3",
        sides=_sides([{"name": "classic"}], seed_loop.classic),
    ),
)
