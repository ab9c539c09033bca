"""A source's bytes as a dataset: prepared once into a verified cache, opened from there.

Torch is imported only to open one, so that a wrong source is refused at once.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from cifar_dist.dataset import cache as caches
from cifar_dist.dataset.sources import find

if TYPE_CHECKING:
    from cifar_dist.data import Dataset

__all__ = ["find", "open_dataset", "prepare"]


def open_dataset(
    source: str, *, validation_fraction: float, seed: int, cache: Path | None = None
) -> "Dataset":
    """Open a source, preparing it first where the cache lacks it; every byte is verified.

    A source is `sample`, `synthetic`, or a folder or tar of `train/<class>/` and `test/<class>/`
    images. Raises DataError.
    """
    found = find(source)

    import torch

    from cifar_dist.data import Dataset, Images, split, split_sha256

    arrays = caches.fetch(found, caches.root(cache))
    images = Images(*map(torch.from_numpy, (arrays.train_pixels, arrays.train_labels)))
    train, validation = split(images.labels, validation_fraction, seed)
    return Dataset(
        source=source,
        sha256=arrays.sha256,
        classes=arrays.classes,
        train=images.select(train) if len(validation) else images,
        validation=images.select(validation) if len(validation) else None,
        test=Images(*map(torch.from_numpy, (arrays.test_pixels, arrays.test_labels))),
        split_sha256=split_sha256(validation),
    )


def prepare(source: str, cache: Path | None = None) -> Path:
    """Make sure that the cache holds a source, verified, and say where. Raises DataError."""
    found, root = find(source), caches.root(cache)
    caches.fetch(found, root)
    return caches.entry(found, root)
