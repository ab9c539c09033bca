"""What a step of a policy is: a change of single images, or a blend of pairs."""

from collections.abc import Callable, Sequence
from typing import Annotated, Protocol

import torch
from pydantic import Field
from torch import Tensor

from cifar_dist.registry import Registry

Probability = Annotated[float, Field(ge=0, le=1)]

SIDE = 32
"""Pixels along an edge of an image."""
MEAN_COLOR = (125, 123, 114)
"""The mean color of the original archive, in levels of 0…255."""

# Images whose fp32 copies stay in a core's cache: twice as fast as 500 at once.
_CHUNK = 64


class Augmentation(Protocol):
    """Changes images uint8 [n, 3, 32, 32], perhaps in place, by draws from [0, 1) [n, slots]."""

    slots: int
    """Draws that one image needs."""
    lasting: bool
    """Whether an image gets the same draws in every epoch."""

    def __call__(self, images: Tensor, draws: Tensor, epoch: int, /) -> Tensor:
        """Augment a batch."""
        ...


class Sometimes:
    """Changes a share p of the images, and works on no others; the first draw chooses them."""

    lasting = False

    def __init__(self, p: float, slots: int, change: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.slots = 1 + slots
        self._p = p
        self._change = change

    def __call__(self, images: Tensor, draws: Tensor, epoch: int, /) -> Tensor:
        """Augment a batch."""
        rows = chosen(draws, self._p)
        for part in torch.split(rows, _chunk(rows)):
            changed = self._change(images.index_select(0, part), draws[part, 1:])
            images.index_copy_(0, part, changed)
        return images


class Chain:
    """Several augmentations as one."""

    lasting = False

    def __init__(self, steps: Sequence[Augmentation]) -> None:
        self._steps = steps
        self._widths = [step.slots for step in steps]
        self.slots = sum(self._widths)

    def __call__(self, images: Tensor, draws: Tensor, epoch: int, /) -> Tensor:
        """Augment a batch."""
        for step, columns in zip(self._steps, torch.split(draws, self._widths, dim=1), strict=True):
            images = step(images, columns, epoch)
        return images


class Mixing:
    """Blends a share p of the images with partners from the training images, labels alike.

    `blend` takes images, partners (uint8 [n, 3, 32, 32]) and draws [n, slots]; it gives the mixed
    images and the share of each that is still its own, fp32 [n].
    """

    lasting = False

    def __init__(
        self,
        p: float,
        slots: int,
        blend: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
    ) -> None:
        self.slots = 2 + slots
        self._p = p
        self._blend = blend

    def partners(self, draws: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """Choose rows of a batch and for each a partner among n training images."""
        rows = chosen(draws, self._p)
        return rows, (draws[rows, 1].double() * n).long()

    def __call__(self, images: Tensor, others: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Mix chosen images with their partners."""
        size = _chunk(images)
        parts = zip(
            *(torch.split(part, size) for part in (images, others, draws[:, 2:])), strict=True
        )
        mixed, own = zip(*(self._blend(*part) for part in parts), strict=True)
        return torch.cat(mixed), torch.cat(own)


AUGMENTATIONS: Registry[Augmentation | Mixing] = Registry("augmentation")


def chosen(draws: Tensor, p: float) -> Tensor:
    """Give the rows whose first draw falls below p."""
    if p == 1:  # without waiting for a device to count
        return torch.arange(len(draws), device=draws.device)
    return (draws[:, 0] < p).nonzero()[:, 0]


def between(draws: Tensor, low: float, high: float) -> Tensor:
    """Spread draws evenly over low…high."""
    return draws * (high - low) + low


def whole(draws: Tensor, low: int, high: int) -> Tensor:
    """Spread draws evenly over the whole numbers low…high."""
    # The sum of whole numbers, as one of fractions may round up to high + 1.
    return (draws * (high - low + 1)).long() + low


def rounded(levels: Tensor) -> Tensor:
    """Round fp32 levels in place and give them as uint8."""
    return levels.round_().clamp_(0, 255).to(torch.uint8)


def _chunk(rows: Tensor) -> int:
    return _CHUNK if rows.device.type == "cpu" else max(1, len(rows))
