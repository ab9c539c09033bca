"""A source's bytes as a dataset: prepared once into a verified cache, opened from there.

Torch is imported only to open one, so that a wrong source is refused at once.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cifar_dist.config import S3
from cifar_dist.dataset import archive
from cifar_dist.dataset import cache as caches
from cifar_dist.dataset.arrays import Arrays
from cifar_dist.dataset.sources import find
from cifar_dist.documents import DataFacts

if TYPE_CHECKING:
    from cifar_dist.data import Dataset

__all__ = ["Prepared", "find", "open_dataset", "prepare", "prepare_cifar10"]


class Prepared(NamedTuple):
    """A source in the cache, every byte of it verified."""

    source: str
    folder: Path
    arrays: Arrays

    def facts(self) -> DataFacts:
        """Say which images these are, before any of them is split off."""
        return DataFacts(
            source=self.source,
            sha256=self.arrays.sha256,
            classes=list(self.arrays.classes),
            train_images=len(self.arrays.train_labels),
            validation_images=0,
            test_images=len(self.arrays.test_labels),
            split_sha256=hashlib.sha256().hexdigest(),
        )

    def dataset(self, *, validation_fraction: float, seed: int) -> "Dataset":
        """Give the images as tensors, split. Raises DataError."""
        import torch

        from cifar_dist.data import Dataset, Images, split, split_sha256

        arrays = self.arrays
        images = Images(*map(torch.from_numpy, (arrays.train_pixels, arrays.train_labels)))
        train, validation = split(images.labels, validation_fraction, seed)
        return Dataset(
            source=self.source,
            sha256=arrays.sha256,
            classes=arrays.classes,
            train=images.select(train) if len(validation) else images,
            validation=images.select(validation) if len(validation) else None,
            test=Images(*map(torch.from_numpy, (arrays.test_pixels, arrays.test_labels))),
            split_sha256=split_sha256(validation),
        )


def open_dataset(
    source: str,
    *,
    validation_fraction: float,
    seed: int,
    cache: Path | None = None,
    s3: S3 | None = None,
) -> "Dataset":
    """Open a source, preparing it first where the cache lacks it; every byte is verified.

    A source is `sample`, `cifar10`, `synthetic`, a folder or tar of `train/<class>/` and
    `test/<class>/` images, or the URI of a published one, reached by `s3`. Raises DataError.
    """
    return prepare(source, cache, s3).dataset(validation_fraction=validation_fraction, seed=seed)


def prepare(source: str, cache: Path | None = None, s3: S3 | None = None) -> Prepared:
    """Make sure that the cache holds a source, verified. Raises DataError."""
    return _prepared(source, find(source, cache, s3), caches.root(cache))


def prepare_cifar10(path: Path | None, cache: Path | None = None) -> Prepared:
    """Bring the official archive into the cache: from a path, or from its address without one.

    The only thing here that may use the network of its own accord. Raises DataError.
    """
    found = archive.from_address() if path is None else archive.from_path(path)
    return _prepared("cifar10", found, caches.root(cache))


def _prepared(name: str, source: caches.Source, root: Path) -> Prepared:
    arrays = caches.fetch(source, root)
    return Prepared(name, caches.entry(source, root), arrays)
