"""How the maps of one image per class change from epoch to epoch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Film:
    """One fixed image per class, seen by the model after each of some epochs."""

    epochs: tuple[int, ...]
    """Counted from 1, rising."""
    maps: NDArray[np.float32]
    """[frames, classes, height, width], 0…1, of each image's true class."""
    predicted: NDArray[np.int64]
    """[frames, classes]"""
    confidences: NDArray[np.float64]
    """[frames, classes], of the predicted class."""
    images: NDArray[np.uint8]
    """[classes, 3, 32, 32]; image i shows class i."""
    layer: str
    method: str
