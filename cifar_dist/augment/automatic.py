"""Operations drawn for each image from one set, and the spaces of their magnitudes."""

import math
from collections.abc import Callable, Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from cifar_dist.augment import color, geometry, tones
from cifar_dist.augment.steps import AUGMENTATIONS, SIDE, Augmentation

_BINS = 31  # magnitudes 0…30
_UNSIGNED = {"posterize", "solarize"}
_HALF = SIDE / 2
OPERATIONS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "identity": lambda images, _: images,
    "shear_x": lambda images, m: _warp(images, 1, m, m * _HALF, 0, 1, 0),
    "shear_y": lambda images, m: _warp(images, 1, 0, 0, m, 1, m * _HALF),
    "translate_x": lambda images, m: _warp(images, 1, 0, -m.trunc(), 0, 1, 0),
    "translate_y": lambda images, m: _warp(images, 1, 0, 0, 0, 1, -m.trunc()),
    "rotate": lambda images, m: _turn(images, m * (math.pi / 180)),
    "brightness": lambda images, m: color.adjust_brightness(images, 1 + m),
    "saturation": lambda images, m: color.adjust_saturation(images, 1 + m),
    "contrast": lambda images, m: color.adjust_contrast(images, 1 + m),
    "sharpness": lambda images, m: tones.adjust_sharpness(images, 1 + m),
    "posterize": lambda images, m: tones.posterize(images, 8 - m.round()),
    "solarize": lambda images, m: tones.solarize(images, 1 - m),
    "autocontrast": tones.autocontrast,
    "equalize": tones.equalize,
}
"""Changes of images uint8 [n, 3, 32, 32] by magnitudes fp32 [n]."""


class Automatic:
    """Gives each image operations drawn one after another, each with its largest magnitude.

    Magnitudes are a fixed bin of 0…30, or drawn; signs are drawn.
    """

    lasting = False

    def __init__(self, layers: int, largest: Mapping[str, float], magnitude: int | None) -> None:
        self.slots = 3 * layers
        self._magnitude = magnitude
        self._magnitudes = {
            name: torch.linspace(0, largest.get(name, 0), _BINS) for name in OPERATIONS
        }

    def __call__(self, images: Tensor, draws: Tensor, epoch: int, /) -> Tensor:
        """Augment a batch."""
        for columns in torch.split(draws, 3, dim=1):
            kind = (columns[:, 0] * len(OPERATIONS)).long()
            counts = kind.bincount(minlength=len(OPERATIONS)).tolist()
            groups = torch.split(kind.argsort(stable=True), counts)
            for (name, operation), rows in zip(OPERATIONS.items(), groups, strict=True):
                if len(rows) and name != "identity":
                    changed = operation(
                        images.index_select(0, rows), self._drawn(name, columns[rows])
                    )
                    images.index_copy_(0, rows, changed)
        return images

    def _drawn(self, name: str, draws: Tensor) -> Tensor:
        bins = (draws[:, 1] * _BINS).long()
        if self._magnitude is not None:
            bins = torch.full_like(bins, self._magnitude)
        sizes = self._magnitudes[name].to(draws.device)[bins]
        return sizes if name in _UNSIGNED else torch.where(2 * draws[:, 2] < 1, -sizes, sizes)


def _warp(images: Tensor, *inverse: Tensor | float) -> Tensor:
    return geometry.warp(images, inverse, "constant")


def _turn(images: Tensor, radians: Tensor) -> Tensor:
    cosine, sine = radians.cos(), radians.sin()
    return _warp(images, cosine, -sine, 0, sine, cosine, 0)


def _largest(
    shear: float, shift: float, degrees: float, factor: float, bits: int
) -> Mapping[str, float]:
    # Shears as tangents, shifts in pixels, factors as distances from 1, bits taken away.
    return {
        **dict.fromkeys(("shear_x", "shear_y"), shear),
        **dict.fromkeys(("translate_x", "translate_y"), shift),
        "rotate": degrees,
        **dict.fromkeys(("brightness", "saturation", "contrast", "sharpness"), factor),
        "posterize": bits,
        "solarize": 1,
    }


@AUGMENTATIONS.register
def rand_augment(
    n: Annotated[int, Field(ge=1, le=8)] = 2,
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9,
) -> Augmentation:
    """Give each image n random ones of 14 operations, all of a magnitude (Cubuk et al., 2020)."""
    return Automatic(n, _largest(0.3, 150 / 331 * SIDE, 30, 0.9, 4), magnitude)


@AUGMENTATIONS.register
def trivial_augment() -> Augmentation:
    """Give each image one of 14 operations at a random magnitude (Müller and Hutter, 2021)."""
    return Automatic(1, _largest(0.99, 32, 135, 0.99, 6), None)
