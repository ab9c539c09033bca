"""A prepared source: four arrays and the names of its classes, with identifying digests."""

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 32
CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


@dataclass(frozen=True)
class Arrays:
    """Pixels uint8 [n, 3, 32, 32] and labels int64 [n] of both splits."""

    classes: tuple[str, ...]
    train_pixels: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_pixels: NDArray[np.uint8]
    test_labels: NDArray[np.int64]

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each array's type, shape and bytes in C order, by field name."""
        return {name: _sha256(getattr(self, name)) for name in ARRAYS}

    @property
    def sha256(self) -> str:
        """SHA-256 over class names and all arrays; the same on every machine."""
        return hashlib.sha256(json.dumps([self.classes, self.digests]).encode()).hexdigest()


ARRAYS = tuple(field.name for field in fields(Arrays) if field.name != "classes")


def _sha256(array: NDArray[Any]) -> str:
    portable = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    digest = hashlib.sha256(f"{portable.dtype.str} {portable.shape}\n".encode())
    digest.update(portable.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
