"""Mirrored images and cut windows: what moves whole pixels."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from cifar_dist.augment.steps import AUGMENTATIONS, SIDE, Augmentation, Probability


class Flip:
    """Mirrors images; an alternating one mirrors the other images in the next epoch."""

    slots = 1

    def __init__(self, p: float, alternating: bool) -> None:
        self._p = p
        self.lasting = alternating

    def mask(self, draws: Tensor, epoch: int) -> Tensor:
        """Say which images are mirrored: bool [n]."""
        turned = self.lasting and epoch % 2 == 1
        return (draws[:, 0] < self._p) ^ turned

    def __call__(self, images: Tensor, draws: Tensor, epoch: int, /) -> Tensor:
        """Augment a batch."""
        # Both ways, then a choice of whole images: fast, and without waiting for a device.
        rows = torch.arange(len(images), device=images.device)
        rows += len(images) * self.mask(draws, epoch)
        return torch.cat((images, images.flip(-1))).index_select(0, rows)


class Crop:
    """Cuts windows from padded images."""

    slots = 2
    lasting = False

    def __init__(self, padding: int, fill: Literal["reflect", "constant"]) -> None:
        self.padding = padding
        self._fill = fill
        self.frame = (padding, fill)
        """What two crops that pad alike have in common."""

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
        """Augment a batch."""
        indices = torch.arange(len(images), device=images.device)
        return cut(self.padded(images), indices, *self.offsets(draws))


def cut(padded: Tensor, indices: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Cut a 32×32 window at (y, x) from each padded image at `indices`."""
    # Every run of 32 bytes is a row of one overlapping view, and a window is 96 of its rows:
    # more than twice as fast as indexing a view of all windows.
    _, channels, height, width = padded.shape
    rows = torch.arange(channels * height, device=padded.device).view(channels, height)
    rows = (rows[:, :SIDE] * width).flatten()
    first = (indices * channels * height + y) * width + x
    lines = padded.view(-1).unfold(0, SIDE, 1).index_select(0, (first[:, None] + rows).flatten())
    return lines.view(len(indices), channels, SIDE, SIDE)


@AUGMENTATIONS.register
def horizontal_flip(p: Probability = 0.5) -> Augmentation:
    """Mirror a share p of the images."""
    return Flip(p, alternating=False)


@AUGMENTATIONS.register
def alternating_flip() -> Augmentation:
    """Mirror a random half of the images, in the next epoch the other half (Jordan, 2024)."""
    return Flip(0.5, alternating=True)


@AUGMENTATIONS.register
def pad_crop(
    padding: Annotated[int, Field(ge=1, le=16)] = 4,
    fill: Literal["reflect", "constant"] = "reflect",
) -> Augmentation:
    """Pad by reflection or with black, then cut 32×32 at a random place."""
    return Crop(padding, fill)
