"""Sheets of small images: rows with names beside them, columns with heads above them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cifar_dist.report.columns import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CHANNELS = 3
_GAP = 3  # pixels between two images, in image pixels
_DPI = 100
_LETTERS = 24  # of a name; the rest is left out
_LETTER = 9  # pixels of the sheet that a letter of a name may take
_HEAD = 28  # pixels of the sheet for the columns' heads


def by_class(
    pixels: NDArray[np.uint8], labels: ArrayLike, classes: int, columns: int
) -> list[NDArray[np.uint8]]:
    """Give the first images of each class; no others are read from `pixels`."""
    known = np.asarray(labels)
    return [pixels[np.flatnonzero(known == row)[:columns]] for row in range(classes)]


def sheet(
    rows: Sequence[NDArray[np.uint8]],
    names: Sequence[str] = (),
    heads: Sequence[str] = (),
    scale: int = 2,
) -> "Figure":
    """Lay out uint8 images, channels first or last, each pixel as `scale`² pixels."""
    from matplotlib.figure import Figure

    tiles, names = _tiled(rows), [brief(name) for name in names]
    height, width = (scale * side for side in tiles.shape[:2])
    left = max((_LETTER * len(name) + 15 for name in names), default=0)
    top = _HEAD if heads else 0
    across, down = left + width, top + height
    figure = Figure(figsize=(across / _DPI, down / _DPI), dpi=_DPI)
    axes = figure.add_axes((left / across, 0, width / across, height / down))
    axes.imshow(tiles, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    for row, name in enumerate(names):
        middle = (row + 0.5) * tiles.shape[0] / len(rows)
        axes.text(-2 * _GAP, middle, name, ha="right", va="center")
    for column, head in enumerate(heads):
        middle = (column + 0.5) * tiles.shape[1] / len(heads)
        axes.text(middle, -_GAP, head, ha="center", va="bottom")
    return figure


def brief(name: str) -> str:
    """Cut a name, which may be a folder's, to what fits beside a row or a bar."""
    text = printable(name)
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"


def _tiled(rows: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    pictures = [_channels_last(row) for row in rows]
    side = pictures[0].shape[1] + _GAP
    most = max(1, *map(len, pictures))
    tiles = np.full((len(rows) * side, most * side, _CHANNELS), 255, np.uint8)
    for row, images in enumerate(pictures):
        for column, image in enumerate(images):
            top, left = row * side + _GAP // 2, column * side + _GAP // 2
            tiles[top : top + image.shape[0], left : left + image.shape[1]] = image
    return tiles


def _channels_last(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels.transpose(0, 2, 3, 1) if pixels.shape[1] == _CHANNELS else pixels
