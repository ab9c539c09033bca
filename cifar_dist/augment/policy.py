"""A recipe's augmentations, applied to batches of resident pixels."""

from collections.abc import Sequence
from typing import Any
from weakref import ref

import torch
from torch import Tensor
from torch.nn import functional as F

from cifar_dist import seeds
from cifar_dist.augment.crops import Crop, Flip, cut
from cifar_dist.augment.steps import AUGMENTATIONS, Augmentation, Mixing
from cifar_dist.registry import Component

_CLASSES = 10


class _Frames:
    """The newest padded copy of some pixels: a worker's trials, which share them, pad once."""

    def __init__(self) -> None:
        self._kept: tuple[ref[Tensor], tuple[Any, ...], Tensor] | None = None

    def of(self, pixels: Tensor, crop: Crop) -> Tensor:
        """Give what `crop` pads, as long as the pixels live and are not written to."""
        writes = 0 if pixels.is_inference() else pixels._version
        kept, name = self._kept, (writes, *crop.frame)
        if kept is None or kept[0]() is not pixels or kept[1] != name:
            self._kept = kept = None  # there may not be room for two
            self._kept = kept = (ref(pixels, self._forget), name, crop.padded(pixels))
        return kept[2]

    def _forget(self, gone: "ref[Tensor]") -> None:
        if self._kept is not None and self._kept[0] is gone:
            self._kept = None


_FRAMES = _Frames()


class Policy:
    """A recipe's augmentations in order, gathering from resident pixels; mixes come last.

    Splitting an epoch over any batches and ranks gives the same images: image i uses row i of
    the epoch's one table of draws.
    """

    def __init__(self, components: Sequence[Component]) -> None:
        built = [AUGMENTATIONS.build(component) for component in components]
        self._steps = [step for step in built if not isinstance(step, Mixing)]
        self._mixes = [step for step in built if isinstance(step, Mixing)]
        ordered: list[Augmentation | Mixing] = [*self._steps, *self._mixes]
        self._widths = [step.slots for step in ordered]
        is_lasting = [step.lasting for step in ordered for _ in range(step.slots)]
        self._is_lasting = torch.tensor(is_lasting, dtype=torch.bool)
        self._flips, self._crop = _lead(self._steps)
        self._resident: tuple[Tensor, Tensor] | None = None

    def table(self, n: int, seed: int, epoch: int) -> Tensor:
        """Draw what n images need in an epoch: fp32 [n, slots], on the CPU."""
        fresh, lasting = (
            torch.rand(n, sum(self._widths), generator=torch.Generator().manual_seed(stream))
            for stream in (
                seeds.derive(seed, "augment", epoch),
                seeds.derive(seed, "augment", "lasting"),
            )
        )
        return torch.where(self._is_lasting, lasting, fresh)

    def apply(
        self, pixels: Tensor, labels: Tensor, indices: Tensor, table: Tensor, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """Augment the images at `indices` of resident pixels, all on one device.

        Gives images uint8 [n, 3, 32, 32] and targets: classes int64 [n], or, if the policy mixes
        images, probabilities fp32 [n, 10]. A partner is any image of `pixels`, augmented by its
        own draws, but not mixed itself.
        Keeps a padded copy of `pixels` if the policy crops: 240 MB for 50,000 images padded by 4;
        the next policy finds it if it pads in the same way.
        """
        if not self._mixes:
            return self._augmented(pixels, indices, table, epoch), labels[indices]
        drawn = self._columns(table[indices])[len(self._steps) :]
        chosen = [
            step.partners(draws, len(pixels))
            for step, draws in zip(self._mixes, drawn, strict=True)
        ]
        partners = [partner for _, partner in chosen]
        everyone = self._augmented(pixels, torch.cat((indices, *partners)), table, epoch)
        images, *others = torch.split(everyone, [len(indices), *map(len, partners)])
        targets = _probabilities(labels[indices])
        for step, draws, (rows, partner), other in zip(
            self._mixes, drawn, chosen, others, strict=True
        ):
            images[rows], own = step(images[rows], other, draws[rows])
            foreign = _probabilities(labels[partner])
            targets[rows] = torch.lerp(foreign, targets[rows], own[:, None])
        return images, targets

    def _columns(self, draws: Tensor) -> list[Tensor]:
        return list(torch.split(draws, self._widths, dim=1)) if self._widths else []

    def _augmented(self, pixels: Tensor, indices: Tensor, table: Tensor, epoch: int) -> Tensor:
        columns = self._columns(table[indices])
        images = self._gathered(pixels, indices, columns, epoch)
        for step, draws in zip(self._steps, columns, strict=False):
            if step is not self._crop:
                images = step(images, draws, epoch)
        return images

    def _gathered(
        self, pixels: Tensor, indices: Tensor, draws: Sequence[Tensor], epoch: int
    ) -> Tensor:
        crop = self._crop
        if crop is None:
            return pixels.index_select(0, indices)
        if self._resident is None or self._resident[0] is not pixels:
            self._resident = (pixels, _FRAMES.of(pixels, crop))
        y, x = crop.offsets(draws[len(self._flips)])
        for flip, drawn in zip(self._flips, draws, strict=False):
            # A flip in front of the crop can follow it if the crop's window is mirrored.
            x = torch.where(flip.mask(drawn, epoch), 2 * crop.padding - x, x)
        return cut(self._resident[1], indices, y, x)


def _probabilities(labels: Tensor) -> Tensor:
    return F.one_hot(labels, _CLASSES).float()


def _lead(steps: Sequence[Augmentation]) -> tuple[Sequence[Flip], Crop | None]:
    # A crop with nothing but flips in front of it can gather from resident pixels.
    flips: list[Flip] = []
    for step in steps:
        if isinstance(step, Crop):
            return flips, step
        if not isinstance(step, Flip):
            break
        flips.append(step)
    return [], None
