"""A pipeline of the albumentations library, image by image, and the same in batches."""

import os
import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cifar_dist.augment.crops import Flip
from cifar_dist.augment.geometry import Degrees, Scale, Shift, affine
from cifar_dist.augment.holes import Pixels, rectangles
from cifar_dist.augment.steps import AUGMENTATIONS, MEAN_COLOR, Augmentation, Chain, Probability


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


@AUGMENTATIONS.register
def albumentations(
    p: Probability = 0.5,
    shift: Shift = 0.0625,
    scale: Scale = 0.1,
    rotate: Degrees = 15.0,
    hole: Pixels = 16,
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
            library.CoarseDropout((1, 1), (hole, hole), (hole, hole), fill=MEAN_COLOR, p=p),
        ]
    )
    return _PerImage(pipeline)


@AUGMENTATIONS.register
def classic(
    p: Probability = 0.5,
    shift: Shift = 0.0625,
    scale: Scale = 0.1,
    rotate: Degrees = 15.0,
    hole: Pixels = 16,
) -> Augmentation:
    """Flip, then shift, scale and rotate, then drop a square, each with p: as `albumentations`."""
    return Chain(
        [
            Flip(p, alternating=False),
            affine(shift, scale, rotate, "reflect", p),
            rectangles((1, 1), (hole, hole), p),
        ]
    )
