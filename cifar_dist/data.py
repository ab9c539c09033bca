"""CIFAR-10 as tensors: splits, orders, shards, normalization and statistics."""

import functools
import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cifar_dist import documents, seeds
from cifar_dist.errors import DataError

# Over the 50,000 training images of the original archive, pixels scaled to 0…1, rounded from
# mean (0.49139968, 0.48215827, 0.44653124) and std (0.24703233, 0.24348505, 0.26158768).
MEAN = (0.491400, 0.482158, 0.446531)
STD = (0.247032, 0.243485, 0.261588)

_LEVELS = 256  # values of a pixel


@dataclass(frozen=True)
class Images:
    """Pixels uint8 [n, 3, 32, 32] with their labels int64 [n]."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: Tensor) -> "Images":
        """Copy the images at `indices`, in their order."""
        return Images(self.pixels[indices], self.labels[indices])


@dataclass(frozen=True)
class Dataset:
    """One source, split; `sha256` is over its prepared pixels and labels, wherever they lie."""

    source: str
    sha256: str
    classes: tuple[str, ...]
    train: Images
    validation: Images | None
    test: Images
    split_sha256: str

    def splits(self) -> dict[documents.Split, Images]:
        """Name the splits that there are."""
        held_out: dict[documents.Split, Images] = {}
        if self.validation is not None:
            held_out["validation"] = self.validation
        return {"train": self.train, **held_out, "test": self.test}

    def on(self, device: torch.device) -> "Dataset":
        """Keep the training images on a device, from where any number of learners take them."""
        pixels, labels = self.train.pixels.to(device), self.train.labels.to(device)
        return replace(self, train=Images(pixels, labels))

    def facts(self) -> documents.DataFacts:
        """Say which images a figure made from this dataset comes from."""
        return documents.DataFacts(
            source=self.source,
            sha256=self.sha256,
            classes=list(self.classes),
            train_images=len(self.train),
            validation_images=len(self.validation) if self.validation else 0,
            test_images=len(self.test),
            split_sha256=self.split_sha256,
        )


def split(labels: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Choose `fraction` of every class for validation; both index lists come sorted.

    Raises DataError if that is no image at all, or a whole class.
    """
    generator = torch.Generator().manual_seed(seeds.derive(seed, "split"))
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    for label in sorted(set(labels.tolist())):
        members = (labels == label).nonzero()[:, 0]
        count = round(len(members) * fraction)
        if count == len(members) or (fraction and not count):
            raise DataError(
                f"validation_fraction={fraction} takes {count} of the {len(members)} images of "
                f"class {label}; at least one must stay on both sides, or set it to 0"
            )
        held_out[members[torch.randperm(len(members), generator=generator)[:count]]] = True
    return (~held_out).nonzero()[:, 0], held_out.nonzero()[:, 0]


def split_sha256(validation: Tensor) -> str:
    """Hash validation indices as little-endian int64."""
    return hashlib.sha256(validation.numpy().astype("<i8").tobytes()).hexdigest()


def permutation(n: int, seed: int, epoch: int) -> Tensor:
    """Give the order in which an epoch visits n images, whatever the number of workers."""
    generator = torch.Generator().manual_seed(seeds.derive(seed, "order", epoch))
    return torch.randperm(n, generator=generator)


def shard(batch: Tensor, rank: int, world: int) -> Tensor:
    """Take one rank's part of a batch of indices: strided, never padded, perhaps empty."""
    return batch[rank::world]


def normalize(
    pixels: Tensor, memory_format: torch.memory_format = torch.contiguous_format
) -> Tensor:
    """Turn uint8 pixels into fp32 with the mean 0 and deviation 1 of the original archive."""
    scale, shift = _affine(pixels.device)
    # The layout comes last: arithmetic on contiguous planes is four times as fast.
    return pixels.float().mul_(scale).add_(shift).contiguous(memory_format=memory_format)


def statistics(
    images: Images, split: documents.Split, classes: tuple[str, ...]
) -> documents.SplitStatistics:
    """Measure one split exactly: integer sums, one division; deviations are of the population."""
    channels = [_channel(images.pixels[:, index]) for index in range(images.pixels.shape[1])]
    minimum, maximum, mean, variance = (list(column) for column in zip(*channels, strict=True))
    counts = torch.bincount(images.labels, minlength=len(classes)).tolist()
    return documents.SplitStatistics(
        split=split,
        images=len(images),
        shape=list(images.pixels.shape),
        min=minimum,
        max=maximum,
        mean=mean,
        std=[value**0.5 for value in variance],
        variance=variance,
        class_counts=dict(zip(classes, counts, strict=True)),
    )


@functools.lru_cache
def _affine(device: torch.device) -> tuple[Tensor, Tensor]:
    mean, std = (torch.tensor(value, device=device).view(3, 1, 1) for value in (MEAN, STD))
    return 1 / (255 * std), -mean / std


def _channel(pixels: Tensor) -> tuple[float, float, float, float]:
    # Exact: a histogram holds all that is needed, and Python's integers do not round.
    counts = torch.zeros(_LEVELS, dtype=torch.int64)
    for chunk in torch.split(pixels, 2048):  # the int64 copy that bincount makes stays in the cache
        counts += torch.bincount(chunk.flatten(), minlength=_LEVELS).cpu()
    levels = [(level, count) for level, count in enumerate(counts.tolist()) if count]
    n = sum(count for _, count in levels)
    total = sum(level * count for level, count in levels)
    squares = sum(level * level * count for level, count in levels)
    variance = (n * squares - total * total) / (n * n * 255 * 255)
    return levels[0][0] / 255, levels[-1][0] / 255, total / (n * 255), variance
