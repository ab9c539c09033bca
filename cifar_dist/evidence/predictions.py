"""What a model says of every image of a split."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_dist.containers import read_arrays
from cifar_dist.documents import Split
from cifar_dist.errors import DamagedError

_SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_DIMENSIONS = 2  # images, classes


@dataclass(frozen=True)
class Predictions:
    """Logits float32 [n, classes] and labels int64 [n] of one split, in its order."""

    split: Split
    logits: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """Softmax [n, classes]."""
        return softmax(self.logits.astype(np.float64))

    @cached_property
    def losses(self) -> NDArray[np.float64]:
        """Plain cross-entropy of each image [n]."""
        logits = self.logits.astype(np.float64)
        shifted = logits - logits.max(1, keepdims=True)
        mine = np.take_along_axis(shifted, self.labels[:, None], 1)[:, 0]
        found: NDArray[np.float64] = np.log(np.exp(shifted).sum(1)) - mine
        return found

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The class of the largest logit [n]."""
        chosen: NDArray[np.int64] = self.logits.argmax(1)
        return chosen

    @property
    def confidence(self) -> NDArray[np.float64]:
        """The probability of the predicted class [n]."""
        largest: NDArray[np.float64] = self.probabilities.max(1)
        return largest

    @property
    def is_finite(self) -> bool:
        """Whether every logit is."""
        return bool(np.isfinite(self.logits).all())

    @property
    def is_correct(self) -> NDArray[np.bool_]:
        """Whether the predicted class is the true one [n]."""
        hits: NDArray[np.bool_] = self.predicted == self.labels
        return hits


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give probabilities over the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(-1, keepdims=True)
    return shares


def save_predictions(path: Path, predictions: Iterable[Predictions]) -> None:
    """Write splits as one .npz: `<split>_logits` and `<split>_labels`."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for part in predictions:
        arrays |= {f"{part.split}_logits": part.logits, f"{part.split}_labels": part.labels}
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def load_predictions(path: Path) -> dict[Split, Predictions]:
    """Read what `save_predictions` wrote; the file must have been verified. Raises DamagedError."""
    try:
        arrays = read_arrays(path)
        return {
            split: _part(split, arrays[f"{split}_logits"], arrays[f"{split}_labels"])
            for split in _SPLITS
            if f"{split}_logits" in arrays
        }
    except (OSError, ValueError, KeyError) as error:
        raise DamagedError(f"{path} holds no predictions: {error}; evaluate again") from error


def _part(split: Split, logits: NDArray[Any], labels: NDArray[Any]) -> Predictions:
    if logits.dtype != np.float32 or labels.dtype != np.int64:
        raise ValueError(f"its logits are {logits.dtype}, its labels {labels.dtype}")
    if logits.ndim != _DIMENSIONS or not logits.shape[1] or labels.shape != logits.shape[:1]:
        raise ValueError(f"its logits are {logits.shape}, its labels {labels.shape}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < logits.shape[1]:
        raise ValueError(f"its labels reach from {labels.min()} to {labels.max()}")
    return Predictions(split, logits, labels)
