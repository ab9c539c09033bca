"""Affine changes: one way to resample images, and the laws that shift, scale and rotate them."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from cifar_dist.augment.steps import (
    AUGMENTATIONS,
    SIDE,
    Augmentation,
    Probability,
    Sometimes,
    between,
    rounded,
)

Shift = Annotated[float, Field(ge=0, le=0.5)]
Scale = Annotated[float, Field(ge=0, le=0.5)]
Degrees = Annotated[float, Field(ge=0, le=180)]
Fill = Literal["reflect", "constant"]

_MIDDLE = (SIDE - 1) / 2


def warp(images: Tensor, inverse: Sequence[Tensor | float], fill: Fill) -> Tensor:
    """Resample images bilinearly; beyond the edge lies their reflection, or black.

    `inverse` leads from a pixel of the result, in pixels from the middle, to its origin:
    (a, b, c, d, e, f) with x' = a·x + b·y + c and y' = d·x + e·y + f; tensors are fp32 [n].
    """
    entries = torch.empty(len(images), 6, device=images.device)
    for column, entry in enumerate(inverse):
        entries[:, column] = entry
    x, y, one = (entries / _MIDDLE).view(-1, 2, 3, 1).unbind(2)
    line = torch.arange(SIDE, device=images.device) - _MIDDLE
    # Products of lines, not of matrices, whose rounding may change with the size of a batch.
    grid = (x * line)[:, :, None] + (y * line + one)[..., None]
    padding = "reflection" if fill == "reflect" else "zeros"
    # With aligned corners a reflection does not repeat the edge.
    warped = F.grid_sample(
        images.float(), grid.movedim(1, 3), "bilinear", padding, align_corners=True
    )
    return rounded(warped)


def affine(shift: float, scale: float, degrees: float, fill: Fill, p: float) -> Augmentation:
    """Scale, then turn about the middle, then shift, drawn as albumentations' Affine does."""
    radians = math.radians(degrees)

    def change(images: Tensor, draws: Tensor) -> Tensor:
        x, y = between(draws[:, :2], -shift * SIDE, shift * SIDE).trunc().unbind(1)
        wide, high = between(draws[:, 2:4], 1 - scale, 1 + scale).unbind(1)
        angle = between(draws[:, 4], -radians, radians)
        cosine, sine = angle.cos(), angle.sin()
        a, b, d, e = cosine / wide, -sine / wide, sine / high, cosine / high
        return warp(images, (a, b, -a * x - b * y, d, e, -d * x - e * y), fill)

    return Sometimes(p, 5, change)


@AUGMENTATIONS.register
def translate(shift: Shift = 0.125, fill: Fill = "reflect", p: Probability = 1.0) -> Augmentation:
    """Shift along both axes by up to a share of the side, cut toward zero to whole pixels."""
    return affine(shift, 0.0, 0.0, fill, p)


@AUGMENTATIONS.register
def rotate(degrees: Degrees = 15.0, fill: Fill = "reflect", p: Probability = 0.5) -> Augmentation:
    """Turn about the middle by up to so many degrees, either way."""
    return affine(0.0, 0.0, degrees, fill, p)


@AUGMENTATIONS.register
def shift_scale_rotate(
    shift: Shift = 0.0625,
    scale: Scale = 0.1,
    degrees: Degrees = 15.0,
    fill: Fill = "reflect",
    p: Probability = 0.5,
) -> Augmentation:
    """Shift by whole pixels up to a share of the side, scale each axis by 1 ± scale, and turn."""
    return affine(shift, scale, degrees, fill, p)
