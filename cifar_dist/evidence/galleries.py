"""Which images a report shows, chosen by their predictions and a seed."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cifar_dist import seeds
from cifar_dist.evidence.predictions import Predictions

CORRECT, WRONG, CONFIDENT = "correct", "wrong", "confident"
_SHOWN = 20  # images of one gallery


def galleries(predictions: Predictions, seed: int) -> Mapping[str, NDArray[np.int64]]:
    """Choose images by their numbers: some correct, some wrong, and the most confident mistakes."""
    draw = np.random.default_rng(seeds.derive(seed, "galleries"))
    correct = np.flatnonzero(predictions.is_correct)
    wrong = np.flatnonzero(~predictions.is_correct)
    surest = wrong[np.argsort(-predictions.confidence[wrong], kind="stable")]
    return {
        CORRECT: np.sort(draw.permutation(correct)[:_SHOWN]),
        WRONG: np.sort(draw.permutation(wrong)[:_SHOWN]),
        CONFIDENT: surest[:_SHOWN],
    }


def shown(chosen: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """List every image of any gallery once, rising."""
    return np.unique(np.concatenate(list(chosen.values())))
