"""The test images behind each cell of a confusion matrix, as one picture."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cifar_dist.documents import Evaluation
from cifar_dist.evidence import Predictions
from cifar_dist.report.evidence import Evidence

_CELL_IMAGES = 6
_SHEET_IMAGES = 600  # of a 10 × 10 matrix every cell is filled
_COLUMNS = 30
_QUALITY = 88


@dataclass(frozen=True)
class Sheet:
    """Small images side by side, `columns` in a row, and where those of each cell begin."""

    uri: str
    columns: int
    cells: Mapping[str, list[tuple[int, int, float]]]
    """`<true>-<predicted>` to (place on the sheet, test image, confidence), the surest first."""


def sheet(test: Evaluation | None, evidence: Evidence) -> Sheet | None:
    """Draw the surest images of each cell; None unless all that takes is at hand and agrees."""
    predictions, images = evidence.predictions.get("test"), evidence.images.get("test")
    if test is None or predictions is None or images is None or not predictions.is_finite:
        return None
    if not test.score.images == len(predictions) == len(images):
        return None
    chosen = _chosen(predictions, len(test.confusion_matrix))
    order = [image for members in chosen.values() for image in members]
    confidence, places = predictions.confidence, iter(range(len(order)))
    cells = {
        cell: [(next(places), image, round(float(confidence[image]), 4)) for image in members]
        for cell, members in chosen.items()
    }
    return Sheet(_uri(np.asarray(images[order])), _COLUMNS, cells) if order else None


def _chosen(predictions: Predictions, classes: int) -> dict[str, list[int]]:
    ranked = np.argsort(-predictions.confidence, kind="stable")
    cells = (predictions.labels * classes + predictions.predicted)[ranked]
    found, left = {}, _SHEET_IMAGES
    for cell in np.unique(cells).tolist():
        members = ranked[cells == cell][: min(_CELL_IMAGES, left)].tolist()
        true, predicted = divmod(cell, classes)
        found[f"{true}-{predicted}"] = members
        left -= len(members)
    return found


def _uri(images: NDArray[np.uint8]) -> str:
    from PIL import Image

    count, channels, height, width = images.shape
    rows = -(-count // _COLUMNS)
    tiles = np.zeros((rows * _COLUMNS, channels, height, width), np.uint8)
    tiles[:count] = images
    grid = tiles.reshape(rows, _COLUMNS, channels, height, width).transpose(0, 3, 1, 4, 2)
    pixels = grid.reshape(rows * height, _COLUMNS * width, channels)
    buffer = io.BytesIO()
    # A third of a PNG's size; an image's blocks of 8 × 8 pixels lie wholly within it.
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
