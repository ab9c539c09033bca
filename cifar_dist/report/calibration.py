"""Whether a model's probabilities are what they say: calibration error and temperature."""

import numpy as np
from numpy.typing import NDArray

from cifar_dist.documents import Calibration, CalibrationBin
from cifar_dist.evidence import Predictions, softmax

BINS = 15  # of equal width, as in Guo et al., 2017
_HALVINGS = 60  # leave nothing of the range that float64 could tell apart
_LARGEST = 100.0  # and the smallest is its inverse: sharper than any sensible correction


def calibrated(predictions: Predictions, validation: Predictions | None) -> Calibration | None:
    """Measure calibration before and after the temperature that fits the validation split.

    None where logits are not finite.
    """
    if not predictions.is_finite:
        return None
    bins = _bins(predictions.confidence, predictions.is_correct)
    found = Calibration(
        ece=_error(bins, len(predictions)), bins=bins, temperature=None, ece_scaled=None
    )
    if validation is None or not validation.is_finite:
        return found
    fitted = temperature(validation)
    scaled = softmax(predictions.logits.astype(np.float64) / fitted).max(1)
    error = _error(_bins(scaled, predictions.is_correct), len(predictions))
    return found.model_copy(update={"temperature": fitted, "ece_scaled": error})


def temperature(validation: Predictions) -> float:
    """Find what to divide logits by for the least cross-entropy, from 0.01 to 100.

    The loss is convex in the inverse temperature: its slope is bisected (Guo et al., 2017).
    """
    logits = validation.logits.astype(np.float64)
    wanted = np.take_along_axis(logits, validation.labels[:, None], 1).mean()
    low, high = 1 / _LARGEST, _LARGEST
    for _ in range(_HALVINGS):
        middle = float(np.sqrt(low * high))
        slope = (softmax(middle * logits) * logits).sum(1).mean() - wanted
        low, high = (low, middle) if slope > 0 else (middle, high)
    return 1 / low


def _bins(confidence: NDArray[np.float64], hits: NDArray[np.bool_]) -> list[CalibrationBin]:
    numbers = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1)
    return [
        CalibrationBin(
            low=number / BINS,
            high=(number + 1) / BINS,
            images=int(inside.sum()),
            confidence=float(confidence[inside].mean()),
            accuracy=float(hits[inside].mean()),
        )
        for number in range(BINS)
        if (inside := numbers == number).any()
    ]


def _error(bins: list[CalibrationBin], images: int) -> float:
    return sum(part.images * abs(part.confidence - part.accuracy) for part in bins) / images
