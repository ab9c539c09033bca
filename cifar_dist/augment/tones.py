"""Levels changed by an image's own histogram, by bits, or against its neighbors."""

import torch
from torch import Tensor

from cifar_dist.augment.color import blended
from cifar_dist.augment.steps import rounded

_LEVELS = 256


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep so many upper bits of each level."""
    return images & (_LEVELS - 2 ** (8 - bits)).to(torch.uint8)[:, None, None, None]


def solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    """Invert levels from a threshold of 0…1 on."""
    above = images >= (255 * thresholds)[:, None, None, None]
    return images ^ above * images.new_full((), 255)


def autocontrast(images: Tensor, _: Tensor) -> Tensor:
    """Spread the levels of each channel over 0…255; a channel of one level stays."""
    low, high = (edge(dim=(2, 3), keepdim=True) for edge in (images.amin, images.amax))
    flat = low == high
    scale = 255 / (high - low).masked_fill(flat, 255)
    return rounded((images - low.masked_fill(flat, 0)) * scale)


def equalize(images: Tensor, _: Tensor) -> Tensor:
    """Make the histogram of each channel flat, by the rule of Pillow."""
    levels = images.flatten(2).long()
    counts = levels.new_zeros(*levels.shape[:2], _LEVELS)
    counts.scatter_add_(2, levels, torch.ones_like(levels))
    total = counts.cumsum(2)
    top = counts.gather(2, levels.amax(2, keepdim=True))
    step = (levels.shape[2] - top) // 255
    table = ((total - counts + step // 2) // step.clamp(min=1)).clamp(max=255)
    # A step of 0: all but a few pixels have the highest level.
    table = torch.where(step == 0, torch.arange(_LEVELS, device=images.device), table)
    return table.to(torch.uint8).gather(2, levels).view_as(images)


def adjust_sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply distances from the mean of 3×3 pixels, the middle one counted five times."""
    levels = images.float()
    rows = levels[:, :, :-2] + levels[:, :, 1:-1] + levels[:, :, 2:]
    sums = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    smooth = levels.clone()  # the outermost pixels have no mean
    smooth[:, :, 1:-1, 1:-1] = (sums + 4 * levels[:, :, 1:-1, 1:-1]) / 13
    return blended(images, smooth, factors)
