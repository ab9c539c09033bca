"""How far a model's confidence can be trusted: the reliability diagram."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cifar_dist.documents import Calibration, TrainDocument, TuneDocument
from cifar_dist.report.evidence import Evidence
from cifar_dist.report.figures.drawing import BLUE, GRAY, INK, ORANGE, picture
from cifar_dist.report.formats import percent
from cifar_dist.report.pictures import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def pictures(document: TrainDocument | TuneDocument, evidence: Evidence) -> Iterator[Picture]:
    """Draw accuracy against confidence, with how many images each bin holds."""
    del evidence  # the document has the numbers
    measured = document.test.calibration if document.test else None
    if measured is not None and measured.bins:
        yield picture("calibration", _alt(measured), _figure(measured))


def _alt(measured: Calibration) -> str:
    widest = max(measured.bins, key=lambda part: abs(part.confidence - part.accuracy))
    side = "below" if widest.accuracy < widest.confidence else "above"
    return (
        f"Reliability diagram of the test images: accuracy against confidence in "
        f"{len(measured.bins)} bins. The expected calibration error is {percent(measured.ece)}; "
        f"the accuracy lies furthest {side} the confidence where that is "
        f"{percent(widest.confidence, 0)}: {percent(widest.accuracy, 0)}."
    )


def _figure(measured: Calibration) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    _reliability(upper, measured)
    _counts(lower, measured)
    # Outside the axes it covers no bar.
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return figure


def _reliability(axes: "Axes", measured: Calibration) -> None:
    from matplotlib.ticker import PercentFormatter

    bins = measured.bins
    edges, widths = [part.low for part in bins], [part.high - part.low for part in bins]
    heights = [part.accuracy for part in bins]
    gaps = [part.confidence - part.accuracy for part in bins]
    axes.bar(edges, heights, widths, align="edge", color=BLUE, linewidth=0, label="accuracy")
    axes.bar(edges, gaps, widths, bottom=heights, align="edge", fill=False, edgecolor=ORANGE,
             hatch="///", linewidth=1.2, label="distance to the confidence")  # fmt: skip
    axes.plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1.4, label="as it should be")
    axes.set_title("Reliability", loc="left", fontweight="bold")
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.grid(visible=True, axis="y")
    axes.set_axisbelow(True)


def _counts(axes: "Axes", measured: Calibration) -> None:
    from matplotlib.ticker import PercentFormatter

    bins = measured.bins
    axes.bar(
        [part.low for part in bins],
        [part.images for part in bins],
        [0.94 * (part.high - part.low) for part in bins],
        align="edge",
        color=GRAY,
    )
    axes.set(ylabel="images", xlabel="confidence")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.grid(visible=True, axis="y")
    axes.set_axisbelow(True)
