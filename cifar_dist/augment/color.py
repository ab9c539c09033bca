"""Levels changed pixel by pixel: brightness, contrast, saturation and hue."""

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from cifar_dist.augment.steps import (
    AUGMENTATIONS,
    Augmentation,
    Probability,
    Sometimes,
    between,
    rounded,
)

Strength = Annotated[float, Field(ge=0, le=1)]


def gray(levels: Tensor) -> Tensor:
    """Weigh fp32 levels [n, 3, …] to luma [n, 1, …] (ITU-R BT.601)."""
    red, green, blue = torch.split(levels, 1, dim=1)
    luma: Tensor = 0.299 * red + 0.587 * green + 0.114 * blue
    return luma


def blended(images: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    """Go from others (fp32, factor 0) to images (factor 1) and beyond."""
    weights = factors[:, None, None, None]
    return rounded(images.float().mul_(weights).add_(others * (1 - weights)))


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply levels."""
    return rounded(images.float().mul_(factors[:, None, None, None]))


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply distances from an image's mean luma."""
    # Exact whatever the batch: the sums are whole numbers below 2²⁴.
    return blended(images, gray(images.float().mean((2, 3), keepdim=True)), factors)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply distances from a pixel's luma."""
    return blended(images, gray(images.float()), factors)


def adjust_hue(images: Tensor, degrees: Tensor) -> Tensor:
    """Turn the color circle, keeping saturation and value of HSV (Smith, 1978)."""
    red, green, blue = images.float().unbind(1)
    high = red.maximum(green).maximum(blue)
    spread = high - red.minimum(green).minimum(blue)
    sextant = torch.where(
        high == red,
        green - blue,
        torch.where(high == green, blue - red + 2 * spread, red - green + 4 * spread),
    )
    sextant = sextant / spread.clamp(min=1) + degrees[:, None, None] / 60
    # A channel is at its highest for two sextants around its own, at its lowest for the two
    # opposite, and linear in between.
    channels = [(sextant + offset).remainder_(6) for offset in (5, 3, 1)]
    below = [torch.minimum(k, 4 - k).clamp_(0, 1) for k in channels]
    return rounded(high[:, None] - spread[:, None] * torch.stack(below, dim=1))


@AUGMENTATIONS.register
def brightness(strength: Strength = 0.2, p: Probability = 1.0) -> Augmentation:
    """Multiply levels by a factor of 1 ± strength."""
    return _jitter(adjust_brightness, strength, p)


@AUGMENTATIONS.register
def contrast(strength: Strength = 0.2, p: Probability = 1.0) -> Augmentation:
    """Multiply distances from an image's mean gray by a factor of 1 ± strength."""
    return _jitter(adjust_contrast, strength, p)


@AUGMENTATIONS.register
def saturation(strength: Strength = 0.2, p: Probability = 1.0) -> Augmentation:
    """Multiply distances from a pixel's gray by a factor of 1 ± strength."""
    return _jitter(adjust_saturation, strength, p)


@AUGMENTATIONS.register
def hue(
    degrees: Annotated[float, Field(ge=0, le=180)] = 18.0, p: Probability = 1.0
) -> Augmentation:
    """Turn the circle of colors by up to so many degrees, either way."""
    return Sometimes(
        p, 1, lambda images, u: adjust_hue(images, between(u[:, 0], -degrees, degrees))
    )


@AUGMENTATIONS.register
def grayscale(p: Probability = 0.1) -> Augmentation:
    """Take the color from a share p of the images."""
    return Sometimes(
        p, 0, lambda images, _: rounded(gray(images.float())).expand(-1, images.shape[1], -1, -1)
    )


def _jitter(change: Callable[[Tensor, Tensor], Tensor], strength: float, p: float) -> Augmentation:
    low, high = 1 - strength, 1 + strength
    return Sometimes(p, 1, lambda images, u: change(images, between(u[:, 0], low, high)))
