"""Parallel coordinates: each trial a line through its settings to its score."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cifar_dist.documents import TuneDocument
from cifar_dist.report.axes import Axis, brief
from cifar_dist.report.figures.drawing import GRAY, INK, ORANGE, PURPLE, picture
from cifar_dist.report.formats import counted, percent, setting
from cifar_dist.report.importance import score
from cifar_dist.report.pictures import Picture
from cifar_dist.report.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_VECTORS = 200
"""More trials than this are set into the page as pixels."""
_MOST_AXES = 8
_MOST_CATEGORIES = 8
_PAPER = "#fefefe"  # behind labels; becomes the page's own background
_BEHIND: Any = {"facecolor": _PAPER, "edgecolor": "none", "alpha": 0.75, "pad": 1.0}
_ABSENT = -0.12  # where a line passes a parameter that its trial does not have


def pictures(document: TuneDocument, study: Study) -> Iterator[Picture]:
    """Draw the parameters that matter most, or the first ones, and the score."""
    from matplotlib.figure import Figure

    columns = leading(study, _MOST_AXES)
    scores = [score(trial) for trial in document.trials]
    known = [value for value in scores if value is not None]
    if not columns or not known:
        return
    figure = Figure(figsize=(max(8.0, 1.4 * len(columns) + 2.0), 4.6), layout="constrained")
    axes: Any = figure.subplots()
    low, high = min(known), max(known)
    heights = [*(axis.units for axis in columns), _scaled(scores, low, high)]
    _draw_lines(axes, document, heights, scores)
    for place, axis in enumerate(columns):
        _draw_axis(axes, place, brief(axis.label), _ticks(axis))
    ticks = [(place, percent(value, 1)) for place, value in _even(low, high)]
    _draw_axis(axes, len(columns), "accuracy", ticks)
    is_absent = any(None in axis.values for axis in columns)
    axes.set(xlim=(-0.35, len(columns) + 0.6), ylim=(-0.2 if is_absent else -0.06, 1.04))
    axes.axis("off")
    _draw_legend(axes, document, is_absent=is_absent)
    drawn = picture("parallel", _described(document, columns, study), figure)
    yield replace(drawn, svg=(drawn.svg or "").replace(_PAPER, "var(--page)"))


def leading(study: Study, most: int) -> list[Axis]:
    """Give the most important parameters in the space's order, or the first ones."""
    ranked = [share.path for share in study.importance.shares] or [a.path for a in study.axes]
    chosen = set(ranked[:most])
    return [axis for axis in study.axes if axis.path in chosen]


def _scaled(values: Sequence[float | None], low: float, high: float) -> list[float | None]:
    return [None if value is None else (value - low) / (high - low or 1.0) for value in values]


def _draw_lines(
    axes: "Axes",
    document: TuneDocument,
    heights: Sequence[Sequence[float | None]],
    scores: Sequence[float | None],
) -> None:
    from matplotlib.collections import LineCollection

    lines: dict[str, list[Any]] = {"finished": [], "pruned": [], "failed": [], "best": []}
    colors: list[float] = []
    # The best come last: on top of the others.
    rows = sorted(enumerate(document.trials), key=lambda row: scores[row[0]] or 0.0)
    for index, trial in rows:
        ends = [column[index] for column in heights]
        settings = [_ABSENT if end is None else end for end in ends[:-1]]
        last = [] if ends[-1] is None else [ends[-1]]
        line = list(enumerate([*settings, *last]))
        kind: str = "best" if trial.trial == document.best else trial.state
        lines[kind].append(line)
        if kind == "finished":
            colors.append(scores[index] or 0.0)
    raster = len(document.trials) > MOST_VECTORS
    thin, faint = (0.45, 0.2) if raster else (0.8, 0.5)
    kinds: dict[str, dict[str, Any]] = {
        "pruned": {"colors": GRAY, "linestyles": "--", "linewidths": thin, "alpha": faint},
        "failed": {"colors": PURPLE, "linestyles": ":", "linewidths": 1.0, "alpha": 0.8},
        "finished": {"cmap": _colors(), "linewidths": 2 * thin, "alpha": 0.9},
        "best": {"colors": ORANGE, "linewidths": 3.0},
    }
    for order, (kind, style) in enumerate(kinds.items()):
        drawn = LineCollection(lines[kind], zorder=2 + order, rasterized=raster, **style)
        if kind == "finished":
            drawn.set_array(colors)
        axes.add_collection(drawn)


def _colors() -> Any:
    """Give blue to yellow-green, without the ends that vanish on a dark or a white page."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    steps = [colormaps["viridis"](0.36 + 0.44 * step / 15) for step in range(16)]
    return LinearSegmentedColormap.from_list("score", steps)


def _ticks(axis: Axis) -> list[tuple[float, str]]:
    if axis.scale == "category":
        last = max(len(axis.categories) - 1, 1)
        step = math.ceil(len(axis.categories) / _MOST_CATEGORIES)
        return [
            (index / last, brief(name))
            for index, name in enumerate(axis.categories)
            if index % step == 0
        ]
    low, high = axis.ends
    if axis.scale == "log":
        span = math.log(high / low) or 1.0
        return [(math.log(v / low) / span, setting(v)) for v in _magnitudes(low, high)]
    return [(place, setting(value)) for place, value in _even(low, high, is_whole=axis.is_whole)]


def _even(low: float, high: float, *, is_whole: bool = False) -> list[tuple[float, float]]:
    """Give round values of a range, each with its place from 0 to 1."""
    from matplotlib.ticker import MaxNLocator

    if low == high:
        return [(0.0, low)]
    steps = MaxNLocator(5, integer=is_whole).tick_values(low, high)
    return [((v - low) / (high - low), float(v)) for v in steps if low <= v <= high]


def _magnitudes(low: float, high: float) -> list[float]:
    """Give both ends and the powers of ten between that are not too near to them."""
    if low == high:
        return [low]
    span = math.log10(high / low)
    powers = [10.0**power for power in range(math.ceil(math.log10(low)), 20) if 10.0**power < high]
    between = [
        value
        for value in powers
        if 0.1 < math.log10(value / low) / span < 0.9  # noqa: PLR2004
    ]
    return [low, *between, high]


def _draw_axis(axes: "Axes", place: int, label: str, ticks: Sequence[tuple[float, str]]) -> None:
    axes.plot([place, place], [0, 1], color=INK, linewidth=1.0, zorder=8)
    axes.text(place, 1.07, label, ha="center", va="bottom", fontsize=9.5, fontweight="bold")
    for height, text in ticks:
        axes.plot([place - 0.02, place + 0.02], [height] * 2, color=INK, linewidth=1.0, zorder=8)
        axes.text(place + 0.05, height, text, fontsize=8.5, va="center", zorder=9, bbox=_BEHIND)


def _draw_legend(axes: "Axes", document: TuneDocument, *, is_absent: bool) -> None:
    from matplotlib.lines import Line2D

    kinds = {
        f"trial {document.best}, the winner": {"color": ORANGE, "linewidth": 3.0},
        "finished, by score": {"color": _colors()(0.5), "linewidth": 1.5},
        "pruned": {"color": GRAY, "linestyle": "--"},
        "failed": {"color": PURPLE, "linestyle": ":"},
    }
    states = {trial.state for trial in document.trials}
    shown = [
        Line2D([], [], label=label, **style)
        for label, style in kinds.items()
        if (document.best is not None and "winner" in label) or label.split(",")[0] in states
    ]
    axes.legend(handles=shown, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=4,
                frameon=False, fontsize=9.5)  # fmt: skip
    if is_absent:
        axes.text(-0.3, _ABSENT, "not in use", fontsize=8.5, va="center", ha="left")


def _described(document: TuneDocument, columns: Sequence[Axis], study: Study) -> str:
    names = ", ".join(axis.label for axis in columns)
    left = len(study.axes) - len(columns)
    more = f" Left out: {counted(left, 'further parameter')}." if left else ""
    return (
        f"Parallel coordinates of {counted(len(document.trials), 'trial')}: a line for each "
        f"through {names}, and its validation accuracy.{more}"
    )
