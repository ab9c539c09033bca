"""What was taken for what: the confusion matrix of the test split."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from cifar_dist.documents import Evaluation, TrainDocument, TuneDocument
from cifar_dist.report.evidence import Evidence
from cifar_dist.report.figures.drawing import INK, photograph
from cifar_dist.report.figures.sheets import brief
from cifar_dist.report.formats import counted, thousands
from cifar_dist.report.pictures import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DARK = 0.55  # shares above it need light digits


def pictures(document: TrainDocument | TuneDocument, evidence: Evidence) -> Iterator[Picture]:
    """Draw `confusion`: counts, colored by their share of the true class."""
    del evidence  # the document has the numbers
    if document.test is not None:
        yield photograph("confusion", _alt(document.test), _figure(document.test))


def _alt(test: Evaluation) -> str:
    most = "".join(
        f" {pair.true} taken for {pair.predicted}: {counted(pair.images, 'image')}."
        for pair in test.confused[:3]
    )
    return f"Confusion matrix of {thousands(test.score.images)} test images.{most}"


def _figure(test: Evaluation) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    counts = np.asarray(test.confusion_matrix)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(7.6, 6.4), dpi=110, layout="constrained")
    axes = figure.subplots()
    drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        color = "white" if shares[row, column] > _DARK else INK
        axes.text(column, row, thousands(int(count)), ha="center", va="center", fontsize=8.5,
                  color=color)  # fmt: skip
    names = [brief(row.name) for row in test.per_class]
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.set_title("Test images", loc="left", fontweight="bold")
    axes.spines[:].set_visible(False)
    form = PercentFormatter(1.0, symbol=" %")
    figure.colorbar(drawn, format=form, label="of the true class", shrink=0.8)
    return figure
