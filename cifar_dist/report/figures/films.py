"""How activation maps change from epoch to epoch: a film of each class, and a strip for print."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cifar_dist.documents import TrainDocument
from cifar_dist.evidence import Film
from cifar_dist.report.evidence import Evidence
from cifar_dist.report.explanation import METHODS
from cifar_dist.report.figures.drawing import INK, photograph
from cifar_dist.report.figures.sheets import brief
from cifar_dist.report.formats import percent
from cifar_dist.report.overlays import enlarged, film, overlay
from cifar_dist.report.pictures import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SCALE = 3
_TILE, _GAP, _TEXT, _HEAD, _LETTER = 32 * _SCALE, 10, 22, 24, 8  # pixels
_DPI = 100


def pictures(document: TrainDocument, evidence: Evidence) -> Iterator[Picture]:
    """Draw `film_0` to `film_9`, a GIF for each class, and `films`, moments of all as one PNG."""
    taken, names = evidence.film, document.data.classes
    if taken is None or len(taken.images) != len(names):
        return
    how = f"{METHODS.get(taken.method, taken.method)} of layer {taken.layer}"
    for index, name in enumerate(names):
        captions = [_lines(taken, frame, index, names) for frame in range(len(taken.epochs))]
        alt = (
            f"An image of class {brief(name)} and, beside it, the {how} for that class "
            f"{_span(taken)}; at the end it is {captions[-1][1]}."
        )
        moving = film(taken.images[index], taken.maps[:, index], captions)
        yield Picture(f"film_{index}", alt, moving, kind="gif")
    moments = sorted({0, len(taken.epochs) // 2, len(taken.epochs) - 1})
    epochs = ", ".join(str(taken.epochs[moment]) for moment in moments)
    alt = f"An image of each class and its {how} after epoch {epochs}."
    yield photograph("films", alt, _strip(taken, moments, names))


def _lines(taken: Film, frame: int, index: int, names: Sequence[str]) -> tuple[str, str]:
    seen, confidence = taken.predicted[frame, index], taken.confidences[frame, index]
    return f"epoch {taken.epochs[frame]}", f"seen as {names[seen]}, {percent(confidence, 0)}"


def _span(taken: Film) -> str:
    first, last = taken.epochs[0], taken.epochs[-1]
    return f"after epoch {first}" if first == last else f"from epoch {first} to epoch {last}"


def _strip(taken: Film, moments: Sequence[int], names: Sequence[str]) -> "Figure":
    """Lay out a row for each class: the image, and its maps at some moments."""
    from matplotlib.figure import Figure

    columns, rows = 1 + len(moments), len(names)
    margin = _LETTER * max(len(brief(name)) for name in names) + _GAP
    width = margin + columns * (_TILE + _GAP)
    height = _HEAD + rows * (_TILE + _TEXT)
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)

    def text(x: float, y: float, words: str, **style: Any) -> None:
        figure.text(x / width, 1 - y / height, words, fontsize=8.5, color=INK, **style)

    def tile(column: int, top: int, pixels: NDArray[np.uint8]) -> float:
        left = margin + column * (_TILE + _GAP)
        figure.figimage(pixels, left, height - top - _TILE, origin="upper")
        return left + _TILE / 2

    for row, name in enumerate(names):
        top = _HEAD + row * (_TILE + _TEXT)
        text(margin - _GAP, top + _TILE / 2, brief(name), ha="right", va="center")
        tile(0, top, enlarged(taken.images[row], _SCALE))
        for column, moment in enumerate(moments, start=1):
            colored = overlay(taken.images[row], taken.maps[moment, row], _SCALE)
            middle = tile(column, top, colored)
            seen = brief(names[taken.predicted[moment, row]])
            sure = percent(taken.confidences[moment, row], 0)
            text(middle, top + _TILE + 3, f"{seen} {sure}", ha="center", va="top")
            if row == 0:
                text(middle, _HEAD - 6, f"epoch {taken.epochs[moment]}", ha="center",
                     va="bottom", fontweight="bold")  # fmt: skip
    return figure
