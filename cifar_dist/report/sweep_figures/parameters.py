"""Each searched parameter against the score, a point for each trial."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cifar_dist.documents import TuneDocument
from cifar_dist.report.axes import Axis, brief
from cifar_dist.report.figures.drawing import BLUE, GRAY, ORANGE, picture
from cifar_dist.report.formats import counted
from cifar_dist.report.importance import score
from cifar_dist.report.pictures import Picture
from cifar_dist.report.study import Study
from cifar_dist.report.sweep_figures.parallel import MOST_VECTORS, leading

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 12
_COLUMNS = 3
_SPREAD = 0.16  # how far points of a category are moved aside, in categories
_MOST_NAMES = 6
_STYLES: dict[str, dict[str, Any]] = {
    "pruned": {"facecolors": "none", "edgecolors": GRAY, "linewidths": 1.0},
    "finished": {"color": BLUE, "alpha": 0.8, "linewidths": 0},
    "winner": {"color": ORANGE, "marker": "*", "s": 190, "zorder": 5},
}


def pictures(document: TuneDocument, study: Study) -> Iterator[Picture]:
    """Draw a panel for each parameter: the most important ones, or the first."""
    from matplotlib.figure import Figure

    scores = [score(trial) for trial in document.trials]
    known = [value for value in scores if value is not None]
    columns = leading(study, _MOST)
    if not columns or not known:
        return
    rows = math.ceil(len(columns) / _COLUMNS)
    width = min(len(columns), _COLUMNS)
    figure = Figure(figsize=(3.7 * width + 0.6, 2.75 * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, width, squeeze=False, sharey=True).flatten()
    for panel, axis in zip(panels, columns, strict=False):
        _draw(panel, axis, document, scores)
    for panel in panels[len(columns) :]:
        panel.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    figure.supylabel("validation accuracy", fontsize=11)
    names = ", ".join(axis.label for axis in columns)
    alt = (
        f"Validation accuracy of {counted(len(known), 'trial')} against {names}: filled marks are "
        "finished trials, hollow ones pruned trials at their last rung."
    )
    yield picture("parameters", alt, figure)


def _draw(
    panel: "Axes", axis: Axis, document: TuneDocument, scores: Sequence[float | None]
) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    raster = len(document.trials) > MOST_VECTORS
    points: dict[str, list[tuple[float, float]]] = {kind: [] for kind in _STYLES}
    for value, found, trial in zip(axis.values, scores, document.trials, strict=True):
        if value is not None and found is not None and trial.state != "failed":
            kind: str = "winner" if trial.trial == document.best else trial.state
            points[kind].append((_aside(axis, value, trial.trial), found))
    for name, style in _STYLES.items():
        x, y = [x for x, _ in points[name]], [y for _, y in points[name]]
        small: dict[str, Any] = (
            {} if name == "winner" else {"s": 12 if raster else 24, "rasterized": raster}
        )
        panel.scatter(x, y, label=name, **small, **style)
    panel.set_title(brief(axis.label), loc="left", fontsize=10.5, fontweight="bold")
    panel.grid(visible=True, axis="y")
    panel.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    panel.tick_params(labelsize=9)
    if axis.scale == "category":
        _name_categories(panel, axis)
    elif axis.scale == "log":
        panel.set_xscale("log")
        _name_magnitudes(panel, axis)
    else:
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=axis.is_whole))


def _aside(axis: Axis, value: float, number: int) -> float:
    """Move points of the same category aside, always each by the same."""
    if axis.scale != "category":
        return value
    return value + _SPREAD * (2 * (number * 0.6180339887 % 1) - 1)


def _name_categories(panel: "Axes", axis: Axis) -> None:
    count = len(axis.categories)
    step = math.ceil(count / _MOST_NAMES)
    places = range(0, count, step)
    names = [brief(axis.categories[place]) for place in places]
    is_long = sum(map(len, names)) > 34  # noqa: PLR2004
    panel.set_xticks(
        list(places),
        names,
        rotation=25 if is_long else 0,
        ha="right" if is_long else "center",
        rotation_mode="anchor",
    )
    panel.set_xlim(-0.5, count - 0.5)


def _name_magnitudes(panel: "Axes", axis: Axis) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.ends
    is_narrow = math.log10(high / low) < 1.5  # noqa: PLR2004
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if is_narrow else (1.0,)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())
