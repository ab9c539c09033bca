"""Rectangles that cover a part of an image."""

import functools
import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from cifar_dist.augment.noise import hashed
from cifar_dist.augment.steps import (
    AUGMENTATIONS,
    MEAN_COLOR,
    SIDE,
    Augmentation,
    Probability,
    Sometimes,
    between,
    whole,
)

Number = Annotated[int, Field(ge=1, le=16)]
Pixels = Annotated[int, Field(ge=1, le=31)]
Share = Annotated[float, Field(gt=0, le=1)]
Aspect = Annotated[float, Field(ge=0.1, le=10)]

_ATTEMPTS = 10  # at a rectangle that fits, as in torchvision


def box(y: Tensor, x: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Mark rectangles of n images that begin at (y, x): uint8 [n, 1, 32, 32] of 0 and 1."""
    line = torch.arange(SIDE, device=y.device)
    lines = [
        ((line >= first[:, None]) & (line < (first + size)[:, None])).to(torch.uint8)
        for first, size in ((y, height), (x, width))
    ]
    return (lines[0][:, :, None] * lines[1][:, None])[:, None]


def filled(images: Tensor, mask: Tensor, content: Tensor) -> Tensor:
    """Put content where the mask is 1."""
    # Sums of bytes wrap around and back: three times as fast as a choice by mask.
    return images + mask * (content - images)


@functools.lru_cache
def mean_color(device: torch.device) -> Tensor:
    """Give the mean color as uint8 [3, 1, 1]."""
    return torch.tensor(MEAN_COLOR, dtype=torch.uint8, device=device).view(3, 1, 1)


class _Cutout:
    slots = 3
    lasting = False

    def __init__(self, size: int, p: float) -> None:
        self._size = size
        self._p = p

    def __call__(self, images: Tensor, draws: Tensor, epoch: int, /) -> Tensor:
        y, x = ((draws[:, :2] * SIDE).long() - self._size // 2).unbind(1)
        size = (draws[:, 2] < self._p) * self._size
        return filled(images, box(y, x, size, size), mean_color(images.device))


def rectangles(number: tuple[int, int], size: tuple[int, int], p: float) -> Augmentation:
    """Cover from one number of rectangles to another, all inside the image, likewise sides."""
    fewest, most = sorted(number)
    shortest, longest = sorted(size)

    def change(images: Tensor, draws: Tensor) -> Tensor:
        count = whole(draws[:, 0], fewest, most)
        covered = torch.zeros_like(images[:, :1])
        for hole, columns in enumerate(torch.split(draws[:, 1:], 4, dim=1)):
            sides = whole(columns[:, :2], shortest, longest)
            y, x = (columns[:, 2:] * (SIDE + 1 - sides)).long().unbind(1)
            height, width = (sides * (count > hole)[:, None]).unbind(1)
            covered |= box(y, x, height, width)
        return filled(images, covered, mean_color(images.device))

    return Sometimes(p, 1 + 4 * most, change)


@AUGMENTATIONS.register
def cutout(size: Annotated[int, Field(ge=1, le=32)] = 8, p: Probability = 1.0) -> Augmentation:
    """Cover a square around a random pixel with the mean color (DeVries and Taylor, 2017)."""
    return _Cutout(size, p)


@AUGMENTATIONS.register
def coarse_dropout(
    holes: tuple[Number, Number] = (1, 4),
    size: tuple[Pixels, Pixels] = (4, 8),
    p: Probability = 0.5,
) -> Augmentation:
    """Cover from holes[0] to holes[1] rectangles of sides from size[0] to size[1] pixels."""
    return rectangles(holes, size, p)


@AUGMENTATIONS.register
def random_erasing(
    area: tuple[Share, Share] = (0.02, 0.33),
    aspect: tuple[Aspect, Aspect] = (0.3, 3.3),
    fill: Literal["random", "mean"] = "random",
    p: Probability = 0.5,
) -> Augmentation:
    """Cover a rectangle: share of the image, height to width, and content (Zhong et al., 2020)."""
    logs = [math.log(ratio) for ratio in sorted(aspect)]

    def change(images: Tensor, draws: Tensor) -> Tensor:
        areas = between(draws[:, :_ATTEMPTS], *sorted(area)) * SIDE**2
        ratios = between(draws[:, _ATTEMPTS : 2 * _ATTEMPTS], *logs).exp()
        heights, widths = (areas * ratios).sqrt().round(), (areas / ratios).sqrt().round()
        fits = (heights < SIDE) & (widths < SIDE)
        # The first attempt that fits; where none does, nothing is covered.
        first = fits.to(torch.uint8).argmax(1, keepdim=True)
        sides = [(side * fits).gather(1, first)[:, 0].long() for side in (heights, widths)]
        place, seed = draws[:, -4:-2], draws[:, -2:]
        y, x = (place * (SIDE + 1 - torch.stack(sides, dim=1))).long().unbind(1)
        content = mean_color(images.device)
        if fill == "random":
            words = hashed(seed, images.shape[1:].numel())
            content = (words & 255).to(torch.uint8).view_as(images)
        return filled(images, box(y, x, *sides), content)

    return Sometimes(p, 2 * _ATTEMPTS + 4, change)
