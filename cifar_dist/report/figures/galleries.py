"""Test images that a model recognized and mistook, as they are and with their activation maps."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cifar_dist.documents import TrainDocument, TuneDocument
from cifar_dist.evidence import (
    CONFIDENT,
    CORRECT,
    WRONG,
    ActivationMaps,
    Predictions,
    galleries,
)
from cifar_dist.report.evidence import Evidence
from cifar_dist.report.explanation import METHODS
from cifar_dist.report.figures.drawing import INK, photograph
from cifar_dist.report.figures.sheets import brief
from cifar_dist.report.formats import counted, percent
from cifar_dist.report.overlays import enlarged, heat, overlay
from cifar_dist.report.pictures import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 4
_SCALE = 4
_TILE, _GAP, _TEXT, _BAR = 32 * _SCALE, 14, 38, 46  # pixels
_DPI = 100
_TITLES = {
    CORRECT: "Recognized {} images",
    WRONG: "Mistaken {} images",
    CONFIDENT: "The most confident mistakes among the {} images",
}


def pictures(document: TrainDocument | TuneDocument, evidence: Evidence) -> Iterator[Picture]:
    """Draw the galleries of the test split, where its predictions are known."""
    predictions, images = evidence.predictions.get("test"), evidence.images.get("test")
    if predictions is not None and predictions.is_finite and images is not None:
        seed, names = document.job["recipe"]["seed"], document.data.classes
        yield from gallery_pictures(predictions, images, evidence.maps, names, seed)


def gallery_pictures(
    predictions: Predictions,
    images: NDArray[np.uint8],
    maps: ActivationMaps | None,
    names: Sequence[str],
    seed: int,
) -> Iterator[Picture]:
    """Draw `correct`, `wrong` and `confident`, and each again with its maps as `correct_cam`….

    A gallery without images is left out, as is one with maps unless `maps` has all that it shows.
    """
    for name, indices in galleries(predictions, seed).items():
        if not len(indices):
            continue
        shown = [images[index] for index in indices]
        captions = [_caption(predictions, int(index), names) for index in indices]
        alt = f"{_TITLES[name].format(predictions.split)}: {counted(len(shown), 'image')}"
        listed = "; ".join(f"{true} seen as {seen}" for true, seen in captions)
        plain = [enlarged(image, _SCALE) for image in shown]
        yield photograph(name, f"{alt}. {listed}.", _sheet(plain, captions))
        if maps is not None and (found := _maps(indices, maps)) is not None:
            colored = [
                overlay(image, activation, _SCALE)
                for image, activation in zip(shown, found, strict=True)
            ]
            how = f"{METHODS[maps.method]} of layer {maps.layer}"
            alt = f"{alt}, each under the {how} for its predicted class; yellow spoke most for it"
            yield photograph(f"{name}_cam", f"{alt}.", _sheet(colored, captions, is_colored=True))


def _caption(predictions: Predictions, index: int, names: Sequence[str]) -> tuple[str, str]:
    """Name the true class, and the predicted one with its confidence."""
    true, seen = predictions.labels[index], predictions.predicted[index]
    share = percent(float(predictions.confidence[index]), 0)
    return brief(names[true]), f"{brief(names[seen])} {share}"


def _maps(indices: NDArray[np.int64], kept: ActivationMaps) -> list[NDArray[np.float32]] | None:
    rows = {int(index): row for row, index in enumerate(kept.indices)}
    if any(int(index) not in rows for index in indices):
        return None
    return [kept.maps[rows[int(index)]] for index in indices]


def _sheet(
    tiles: Sequence[NDArray[np.uint8]],
    captions: Sequence[tuple[str, str]],
    is_colored: bool = False,
) -> "Figure":
    """Lay out tiles in rows of four, below them their captions and, for maps, a color bar."""
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    width = columns * (_TILE + _GAP)
    height = rows * (_TILE + _TEXT) + _BAR * is_colored
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    for number, (tile, (true, seen)) in enumerate(zip(tiles, captions, strict=True)):
        row, column = divmod(number, columns)
        left, top = column * (_TILE + _GAP) + _GAP // 2, row * (_TILE + _TEXT)
        # Pixel by pixel: the picture is not resampled.
        figure.figimage(tile, left, height - top - _TILE, origin="upper")
        middle = (left + _TILE / 2) / width
        for line, (text, weight) in enumerate(((true, "bold"), (f"→ {seen}", "normal"))):
            down = (top + _TILE + 14 + 15 * line) / height
            figure.text(middle, 1 - down, text, ha="center", va="baseline", fontsize=8.5,
                        fontweight=weight, color=INK)  # fmt: skip
    if is_colored:
        _color_bar(figure, width, height)
    return figure


def _color_bar(figure: "Figure", width: int, height: int) -> None:
    across = min(240, width - 2 * _GAP)
    bar = heat(np.linspace(0, 1, across))[None].repeat(12, 0)
    left = (width - across) // 2
    figure.figimage(bar, left, 24, origin="upper")
    ends = ((left, "left", "no evidence"), (left + across, "right", "most evidence"))
    for at, side, text in ends:
        figure.text(at / width, 20 / height, text, ha=side, va="top", fontsize=8.5, color=INK)
