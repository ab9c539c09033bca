"""Augmentations of uint8 batches; every draw belongs to an image of an epoch, never to a batch."""

import os
import random
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from cifar_dist import seeds
from cifar_dist.registry import Component, Registry

Probability = Annotated[float, Field(ge=0, le=1)]

# The mean color of the original archive, in levels of 0…255.
_MEAN_COLOR = (125, 123, 114)
_SIDE = 32


class Augmentation(Protocol):
    """Changes images uint8 [n, 3, 32, 32], perhaps in place, by draws from [0, 1) [n, slots]."""

    slots: int
    """Draws that one image needs."""
    lasting: bool
    """Whether an image gets the same draws in every epoch."""

    def __call__(self, images: Tensor, draws: Tensor, epoch: int, /) -> Tensor:
        """Augment a batch."""
        ...


AUGMENTATIONS: Registry[Augmentation] = Registry("augmentation")


class Policy:
    """A recipe's augmentations in order, gathering from resident pixels.

    Splitting an epoch over any batches and ranks gives the same images: image i uses row i of
    the epoch's one table of draws.
    """

    def __init__(self, components: Sequence[Component]) -> None:
        self._steps = [AUGMENTATIONS.build(component) for component in components]
        self._flips, self._crop = _lead(self._steps)
        self._resident: tuple[Tensor, Tensor] | None = None

    def table(self, n: int, seed: int, epoch: int) -> Tensor:
        """Draw what n images need in an epoch: fp32 [n, slots], on the CPU."""
        width = sum(step.slots for step in self._steps)
        fresh, lasting = (
            torch.rand(n, width, generator=torch.Generator().manual_seed(stream))
            for stream in (
                seeds.derive(seed, "augment", epoch),
                seeds.derive(seed, "augment", "lasting"),
            )
        )
        is_lasting = [step.lasting for step in self._steps for _ in range(step.slots)]
        return torch.where(torch.tensor(is_lasting, dtype=torch.bool), lasting, fresh)

    def apply(self, pixels: Tensor, indices: Tensor, table: Tensor, epoch: int) -> Tensor:
        """Augment the images at `indices` of resident pixels, all on one device.

        Keeps a padded copy of `pixels` if the policy crops: 240 MB for 50,000 images padded by 4.
        """
        widths = [step.slots for step in self._steps]
        draws = torch.split(table[indices], widths, dim=1) if widths else []
        images = self._gathered(pixels, indices, draws, epoch)
        for step, drawn in zip(self._steps, draws, strict=True):
            if step is not self._crop:
                images = step(images, drawn, epoch)
        return images

    def _gathered(
        self, pixels: Tensor, indices: Tensor, draws: Sequence[Tensor], epoch: int
    ) -> Tensor:
        crop = self._crop
        if crop is None:
            return pixels.index_select(0, indices)
        if self._resident is None or self._resident[0] is not pixels:
            self._resident = (pixels, crop.padded(pixels))
        y, x = crop.offsets(draws[len(self._flips)])
        for flip, drawn in zip(self._flips, draws, strict=False):
            # A flip in front of the crop can follow it if the crop's window is mirrored.
            x = torch.where(flip.mask(drawn, epoch), 2 * crop.padding - x, x)
        return _cut(self._resident[1], indices, y, x)


class _Flip:
    slots = 1

    def __init__(self, p: float, alternating: bool) -> None:
        self._p = p
        self.lasting = alternating

    def mask(self, draws: Tensor, epoch: int) -> Tensor:
        """Say which images are mirrored: bool [n]."""
        turned = self.lasting and epoch % 2 == 1
        return (draws[:, 0] < self._p) ^ turned

    def __call__(self, images: Tensor, draws: Tensor, epoch: int, /) -> Tensor:
        # Both ways, then a choice of whole images: fast, and without waiting for a device.
        rows = torch.arange(len(images), device=images.device)
        rows += len(images) * self.mask(draws, epoch)
        return torch.cat((images, images.flip(-1))).index_select(0, rows)


class _Crop:
    slots = 2
    lasting = False

    def __init__(self, padding: int, fill: Literal["reflect", "constant"]) -> None:
        self.padding = padding
        self._fill = fill

    def padded(self, pixels: Tensor) -> Tensor:
        """Copy pixels into a frame: [n, 3, 32 + 2 · padding, 32 + 2 · padding]."""
        p = self.padding
        padded = F.pad(pixels, (p, p, p, p))
        if self._fill == "reflect":  # which torch does for uint8 on CPUs alone
            for line in (padded, padded.transpose(2, 3)):
                line[..., :p] = line[..., p + 1 : 2 * p + 1].flip(-1)
                line[..., -p:] = line[..., -2 * p - 1 : -p - 1].flip(-1)
        return padded

    def offsets(self, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Place windows: y and x from 0 to twice the padding."""
        y, x = (draws * (2 * self.padding + 1)).long().unbind(1)
        return y, x

    def __call__(self, images: Tensor, draws: Tensor, epoch: int, /) -> Tensor:
        indices = torch.arange(len(images), device=images.device)
        return _cut(self.padded(images), indices, *self.offsets(draws))


class _Cutout:
    slots = 3
    lasting = False

    def __init__(self, size: int, p: float) -> None:
        self._size = size
        self._p = p

    def __call__(self, images: Tensor, draws: Tensor, epoch: int, /) -> Tensor:
        first = (draws[:, :2] * _SIDE).long() - self._size // 2
        line = torch.arange(_SIDE, device=images.device) - first[:, :, None]
        inside = (line >= 0) & (line < self._size) & (draws[:, 2] < self._p)[:, None, None]
        y, x = inside.to(torch.uint8).unbind(1)
        box = (y[:, :, None] * x[:, None])[:, None]
        color = torch.tensor(_MEAN_COLOR, dtype=torch.uint8, device=images.device).view(3, 1, 1)
        # Sums of bytes wrap around and back: three times as fast as a choice by mask.
        return images + box * (color - images)


class _PerImage:
    slots = 2
    lasting = False

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    def __call__(self, images: Tensor, draws: Tensor, epoch: int, /) -> Tensor:
        # Two draws of 24 bits seed an image's generators.
        first, second = (draws.double() * 2**24).long().cpu().unbind(1)
        pictures = images.permute(0, 2, 3, 1).cpu().contiguous().numpy()
        for picture, seed in zip(pictures, (first << 24 | second).tolist(), strict=True):
            # One pair of generators for the whole pipeline: set_random_seed would give each
            # transform its own with the same seed, so that all of them act on the same images.
            self._pipeline.set_random_state(np.random.default_rng(seed), random.Random(seed))
            picture[:] = self._pipeline(image=picture)["image"]
        return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous().to(images.device)


def _cut(padded: Tensor, indices: Tensor, y: Tensor, x: Tensor) -> Tensor:
    # Every run of 32 bytes is a row of one overlapping view, and a window is 96 of its rows:
    # more than twice as fast as indexing a view of all windows.
    _, channels, height, width = padded.shape
    rows = torch.arange(channels * height, device=padded.device).view(channels, height)
    rows = (rows[:, :_SIDE] * width).flatten()
    first = (indices * channels * height + y) * width + x
    lines = padded.view(-1).unfold(0, _SIDE, 1).index_select(0, (first[:, None] + rows).flatten())
    return lines.view(len(indices), channels, _SIDE, _SIDE)


def _lead(steps: Sequence[Augmentation]) -> tuple[Sequence[_Flip], _Crop | None]:
    # A crop with nothing but flips in front of it can gather from resident pixels.
    flips: list[_Flip] = []
    for step in steps:
        if isinstance(step, _Crop):
            return flips, step
        if not isinstance(step, _Flip):
            break
        flips.append(step)
    return [], None


@AUGMENTATIONS.register
def horizontal_flip(p: Probability = 0.5) -> Augmentation:
    """Mirror a share p of the images."""
    return _Flip(p, alternating=False)


@AUGMENTATIONS.register
def alternating_flip() -> Augmentation:
    """Mirror a random half of the images, in the next epoch the other half (Jordan, 2024)."""
    return _Flip(0.5, alternating=True)


@AUGMENTATIONS.register
def pad_crop(
    padding: Annotated[int, Field(ge=1, le=16)] = 4,
    fill: Literal["reflect", "constant"] = "reflect",
) -> Augmentation:
    """Pad by reflection or with black, then cut 32×32 at a random place."""
    return _Crop(padding, fill)


@AUGMENTATIONS.register
def cutout(size: Annotated[int, Field(ge=1, le=32)] = 8, p: Probability = 1.0) -> Augmentation:
    """Cover a square around a random pixel with the mean color (DeVries and Taylor, 2017)."""
    return _Cutout(size, p)


@AUGMENTATIONS.register
def albumentations(
    p: Probability = 0.5,
    shift: Annotated[float, Field(ge=0, le=0.5)] = 0.0625,
    scale: Annotated[float, Field(ge=0, le=0.5)] = 0.1,
    rotate: Annotated[float, Field(ge=0, le=180)] = 15.0,
    hole: Annotated[int, Field(ge=1, le=31)] = 16,
) -> Augmentation:
    """Flip, then shift, scale and rotate, then drop a square, each with p, by that library.

    About 8,000 images/s on one core: for comparison, not for speed.
    """
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations as library

    pipeline = library.Compose(
        [
            library.HorizontalFlip(p=p),
            library.Affine(
                translate_percent=(-shift, shift),
                scale=(1 - scale, 1 + scale),
                rotate=(-rotate, rotate),
                border_mode=4,  # cv2.BORDER_REFLECT_101
                p=p,
            ),
            library.CoarseDropout((1, 1), (hole, hole), (hole, hole), fill=_MEAN_COLOR, p=p),
        ]
    )
    return _PerImage(pipeline)
