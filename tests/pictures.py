"""Real pictures, augmented, and the question whether two ways to do so are one in distribution."""

import functools
import os
from typing import Any

import torch
from torch import Tensor

from cifar_dist.augment import Policy
from cifar_dist.dataset import open_dataset

# Before a test imports that library, which else asks the network for a newer one.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

COUNT = 2000


@functools.cache
def pictures() -> Tensor:
    """Give pictures of the sample from all classes: uint8 [2000, 3, 32, 32]."""
    pixels = open_dataset("sample", validation_fraction=0, seed=0).train.pixels
    return pixels[:: len(pixels) // COUNT][:COUNT].contiguous()


def labels_of(pixels: Tensor) -> Tensor:
    """Give a label for each image."""
    return torch.arange(len(pixels)) % 10


def augmented(pixels: Tensor, *components: dict[str, Any], epoch: int = 3) -> Tensor:
    """Augment images once each."""
    return mixed(pixels, *components, epoch=epoch)[0]


def mixed(pixels: Tensor, *components: dict[str, Any], epoch: int = 3) -> tuple[Tensor, Tensor]:
    """Augment images once each, with their targets."""
    policy = Policy(components)
    table = policy.table(len(pixels), 0, epoch)
    indices = torch.arange(len(pixels))
    return policy.apply(pixels, labels_of(pixels), indices, table, epoch)


def changed(before: Tensor, after: Tensor) -> Tensor:
    """Say which images differ."""
    return (before != after).flatten(1).any(1)


def distances(ours: Tensor, theirs: Tensor, slack: float) -> dict[str, float]:
    """Compare statistics of augmented pictures by a paired z-test, in standard errors.

    `slack` levels of difference are forgiven first: two ways to round are one distribution.
    """
    mine_of, theirs_of = (_features(pictures(), images) for images in (ours, theirs))
    found = {}
    for name, mine in mine_of.items():
        apart = mine - theirs_of[name]
        error = float(apart.std()) / len(apart) ** 0.5
        found[name] = max(0.0, abs(float(apart.mean())) - slack) / max(error, 1e-9)
    return found


def _features(before: Tensor, after: Tensor) -> dict[str, Tensor]:
    old, new = before.float(), after.float()
    means = new.mean((2, 3))
    return {
        "red": means[:, 0],
        "green": means[:, 1],
        "blue": means[:, 2],
        "deviation": new.flatten(2).std(2).mean(1),
        "corner": new[:, :, :3, :3].mean((1, 2, 3)),
        "right edge": new[..., -2:].mean((1, 2, 3)),
        "middle": new[:, :, 14:18, 14:18].mean((1, 2, 3)),
        "gradient": new.diff(dim=3).abs().mean((1, 2, 3)),
        "drift": (new.mean((1, 2, 3)) - old.mean((1, 2, 3))).abs(),
        "distance": (new - old).abs().mean((1, 2, 3)),
        "darkest": new.amin((1, 2, 3)),
        "changed": 100 * changed(before, after).float(),
    }
