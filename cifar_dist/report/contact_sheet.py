"""A contact sheet: sample images of a data source, one row per class."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

_CHANNELS = 3
_COLUMNS = 20
_GAP = 3  # pixels between two images, in image pixels
_SCALE = 2.5  # how much larger than life
_DPI = 100


def contact_sheet(
    pixels: NDArray[np.uint8], labels: ArrayLike, classes: Sequence[str], path: Path
) -> None:
    """Write up to 20 images of each class as a PNG; uint8, channels first or last."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    sheet = _sheet(_channels_last(pixels), np.asarray(labels), len(classes))
    height, width = (_SCALE * side / _DPI for side in sheet.shape[:2])
    margin = 0.2 + 0.09 * max(map(len, classes))
    # A class name may use letters that the font lacks; they print as boxes.
    with rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width + margin, height), dpi=_DPI)
        axes = figure.add_axes((margin / (width + margin), 0, width / (width + margin), 1))
        axes.imshow(sheet, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        for row, name in enumerate(classes):
            middle = (row + 0.5) * sheet.shape[0] / len(classes)
            axes.text(-2 * _GAP, middle, name, ha="right", va="center", fontsize=11)
        figure.savefig(path, format="png", metadata={"Software": None})


def _channels_last(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels.transpose(0, 2, 3, 1) if pixels.shape[1] == _CHANNELS else pixels


def _sheet(images: NDArray[np.uint8], labels: NDArray[np.int_], rows: int) -> NDArray[np.uint8]:
    most = int(np.bincount(labels, minlength=rows).max(initial=1))
    height, width = images.shape[1] + _GAP, images.shape[2] + _GAP
    sheet = np.full((rows * height, min(most, _COLUMNS) * width, 3), 255, np.uint8)
    for row in range(rows):
        for column, image in enumerate(images[labels == row][:_COLUMNS]):
            top, left = row * height + _GAP // 2, column * width + _GAP // 2
            sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
    return sheet
