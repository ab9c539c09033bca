"""Noise of every pixel from two draws of its image, and blur."""

import functools
import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from cifar_dist.augment.steps import (
    AUGMENTATIONS,
    Augmentation,
    Probability,
    Sometimes,
    between,
    rounded,
)

Sigma = Annotated[float, Field(ge=0.1, le=5)]

_BITS = 24  # of a draw, and of a number that fp32 holds exactly


def hashed(draws: Tensor, count: int) -> Tensor:
    """Turn two draws of each image into `count` random integers: int32 [n, count].

    A counter-based generator, so an image's numbers are the same in any batch: fixed random
    words, each XORed with the image's key, then mixed by C. Wellons' `lowbias32`.
    """
    first, second = (draws.double() * 2**_BITS).long().unbind(1)
    keys = (first << 8 ^ second).to(torch.int32)
    x: Tensor = keys[:, None] ^ _words(count, draws.device)
    # Shifts of negative numbers carry the sign in; the masks take it out.
    x ^= x >> 16 & 0xFFFF
    x *= 0x7FEB352D
    x ^= x >> 15 & 0x1FFFF
    x *= 0x846CA68B - 2**32
    x ^= x >> 16 & 0xFFFF
    return x


@functools.lru_cache
def _words(count: int, device: torch.device) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    words = torch.randint(-(2**31), 2**31, (count,), generator=generator)
    return words.to(torch.int32).to(device)


@AUGMENTATIONS.register
def gaussian_noise(
    std: Annotated[float, Field(ge=0, le=128)] = 10.0, p: Probability = 0.5
) -> Augmentation:
    """Add independent normal noise of so many levels to every channel of every pixel."""

    def change(images: Tensor, draws: Tensor) -> Tensor:
        # Middles of 2²⁴ cells of -1…1, which the inverse error function turns normal.
        cells = (hashed(draws, images.shape[1:].numel()) >> 32 - _BITS).float().add_(0.5)
        normal = cells.mul_(2.0 ** (1 - _BITS)).erfinv_().mul_(math.sqrt(2) * std)
        return rounded(normal.view_as(images).add_(images))

    return Sometimes(p, 2, change)


@AUGMENTATIONS.register
def gaussian_blur(
    sigma: tuple[Sigma, Sigma] = (0.1, 2.0),
    kernel: Literal[3, 5, 7] = 3,
    p: Probability = 0.5,
) -> Augmentation:
    """Blur by a Gaussian of sigma[0] to sigma[1] pixels, cut to a square of kernel pixels."""
    reach = kernel // 2

    def change(images: Tensor, draws: Tensor) -> Tensor:
        offsets = torch.arange(-reach, reach + 1, device=images.device)
        widths = between(draws, *sorted(sigma))
        weights = (-0.5 * (offsets / widths) ** 2).softmax(1)
        levels = F.pad(images.float(), (reach,) * 4, mode="reflect")
        for dim in (2, 3):
            views = levels.unfold(dim, kernel, 1).unbind(-1)
            parts = zip(views, weights.unbind(1), strict=True)
            terms = [view * weight[:, None, None, None] for view, weight in parts]
            levels = functools.reduce(Tensor.add_, terms)
        return rounded(levels)

    return Sometimes(p, 1, change)
