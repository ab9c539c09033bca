"""What a run's report is given beside its document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from cifar_dist.documents import ModelDocument, Split, SplitStatistics
from cifar_dist.evidence import ActivationMaps, Film, Predictions


@dataclass(frozen=True)
class Evidence:
    """Arrays and tables to draw from; what is missing is left out of the report."""

    predictions: Mapping[Split, Predictions] = field(default_factory=dict)
    images: Mapping[Split, NDArray[np.uint8]] = field(default_factory=dict)
    """[n, 3, 32, 32] in the order of the predictions, often memory-mapped."""
    labels: Mapping[Split, NDArray[np.int64]] = field(default_factory=dict)
    maps: ActivationMaps | None = None
    """Of the images of the test split's galleries."""
    film: Film | None = None
    augmented: NDArray[np.uint8] | None = None
    """[rows, columns, 3, 32, 32]: draws of the run's own policy, the original in column 0."""
    model: ModelDocument | None = None
    statistics: Sequence[SplitStatistics] = ()
    schedule: Sequence[tuple[float, float]] = ()
    """(epochs done, learning rate) along the steps, as planned; it may end before the plan."""

    @property
    def sampled(self) -> Split | None:
        """The split whose images stand for their classes: the first with images and labels."""
        known = (split for split in get_args(Split) if split in self.images)
        return next((split for split in known if split in self.labels), None)
