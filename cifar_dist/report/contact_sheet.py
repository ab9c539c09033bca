"""A contact sheet: sample images of a data source, one row per class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cifar_dist.report.figures.drawing import style
from cifar_dist.report.figures.sheets import by_class, sheet

_COLUMNS = 20


def contact_sheet(
    pixels: NDArray[np.uint8], labels: ArrayLike, classes: Sequence[str], path: Path
) -> None:
    """Write up to 20 images of each class as a PNG; uint8, channels first or last."""
    with style():
        figure = sheet(by_class(pixels, labels, len(classes), _COLUMNS), classes)
        figure.savefig(path, format="png", metadata={"Software": None})
