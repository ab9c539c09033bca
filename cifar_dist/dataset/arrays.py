"""A prepared source: four arrays and the names of its classes, with identifying digests."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_dist.containers import map_array
from cifar_dist.documents import DataOrigin

SIDE = 32
_NAME_CHARACTERS = 255
CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


@dataclass(frozen=True)
class Arrays:
    """Pixels uint8 [n, 3, 32, 32] and labels int64 [n] of both splits, and where they came from."""

    classes: tuple[str, ...]
    train_pixels: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_pixels: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    origin: DataOrigin

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each array's type, shape and bytes in C order, by field name."""
        return {name: _sha256(getattr(self, name)) for name in ARRAYS}

    @property
    def sha256(self) -> str:
        """SHA-256 over class names and all arrays, not their origin; the same on every machine."""
        return hashlib.sha256(json.dumps([self.classes, self.digests]).encode()).hexdigest()

    def save(self, folder: Path) -> list[Path]:
        """Write each array as a file of the folder, named by `file_name`; gives their paths."""
        paths = [folder / file_name(name) for name in ARRAYS]
        for name, path in zip(ARRAYS, paths, strict=True):
            np.save(path, getattr(self, name), allow_pickle=False)
        return paths


ARRAYS = ("train_pixels", "train_labels", "test_pixels", "test_labels")


def is_class_name(name: str) -> bool:
    """Tell whether a name can stand in a line of a log or a table as it is."""
    return name.isprintable() and 0 < len(name) <= _NAME_CHARACTERS


def file_name(array: str) -> str:
    """Name the file of an array."""
    return f"{array}.npy"


def load(folder: Path, classes: list[str], origin: DataOrigin) -> Arrays:
    """Map the files of a folder into memory; nothing is unpickled.

    Raises ValueError where they are not the arrays of a dataset, OSError or EOFError where they
    cannot be read. Their digests are the caller's to compare.
    """
    if len(set(classes)) != len(CLASSES):
        raise ValueError(f"it names {len(set(classes))} classes")
    if not all(map(is_class_name, classes)):
        raise ValueError("it names a class with control characters or endlessly")
    return Arrays(tuple(classes), *_split(folder, "train"), *_split(folder, "test"), origin)


def _split(folder: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    pixels, labels = _mapped(folder, f"{split}_pixels"), _mapped(folder, f"{split}_labels")
    if labels.dtype != np.int64 or labels.ndim != 1 or not len(labels):
        raise ValueError(f"its labels are {labels.dtype} {labels.shape}")
    if pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3, SIDE, SIDE):
        raise ValueError(f"its pixels are {pixels.dtype} {pixels.shape}")
    if labels.min() < 0 or labels.max() >= len(CLASSES):
        raise ValueError(f"its labels reach from {labels.min()} to {labels.max()}")
    return pixels, labels


def _mapped(folder: Path, name: str) -> NDArray[Any]:
    # Copy on write: torch wants writable memory, and nothing may write to the cache.
    return map_array(folder / file_name(name))


def _sha256(array: NDArray[Any]) -> str:
    portable = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    digest = hashlib.sha256(f"{portable.dtype.str} {portable.shape}\n".encode())
    digest.update(portable.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
