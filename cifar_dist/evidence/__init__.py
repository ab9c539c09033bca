"""What a report shows beside its numbers: predictions, activation maps, films, chosen images.

Arrays of numpy alone, so that they can be made where a GPU is and be drawn where none is.
"""

from cifar_dist.evidence.film import Film
from cifar_dist.evidence.galleries import CONFIDENT, CORRECT, WRONG, galleries, shown
from cifar_dist.evidence.maps import ActivationMaps, Method
from cifar_dist.evidence.predictions import (
    Predictions,
    load_predictions,
    save_predictions,
    softmax,
)

__all__ = [
    "CONFIDENT",
    "CORRECT",
    "WRONG",
    "ActivationMaps",
    "Film",
    "Method",
    "Predictions",
    "galleries",
    "load_predictions",
    "save_predictions",
    "shown",
    "softmax",
]
