"""Pictures that a small net learns in seconds; for tests and load studies only."""

import numpy as np

from cifar_dist.dataset.arrays import CLASSES, SIDE, Arrays
from cifar_dist.documents import DataOrigin

IDENTITY = "synthetic/1"  # counts up whenever the pictures change

_TRAIN, _TEST = 2000, 500
_TILE = 8
_NOISE = 48.0  # deviation of the noise, in levels of 0…255
_CONTRAST = 0.4


def generate() -> Arrays:
    """Draw 2,000 training and 500 test images: colored tiles of their class under noise."""
    # RandomState, not Generator: only its streams are promised never to change.
    random = np.random.RandomState(0)
    tiles = random.uniform(0, 255, (len(CLASSES), 3, SIDE // _TILE, SIDE // _TILE))
    patterns = tiles.repeat(_TILE, axis=2).repeat(_TILE, axis=3)
    labels = np.arange(_TRAIN + _TEST, dtype=np.int64) % len(CLASSES)
    noise = random.normal(128, _NOISE, (len(labels), 3, SIDE, SIDE))
    pixels = (noise + _CONTRAST * (patterns[labels] - 128)).clip(0, 255).astype(np.uint8)
    train, test = (pixels[:_TRAIN], labels[:_TRAIN]), (pixels[_TRAIN:], labels[_TRAIN:])
    return Arrays(CLASSES, *train, *test, DataOrigin(kind="synthetic"))
