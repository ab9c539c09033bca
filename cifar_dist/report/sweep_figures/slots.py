"""The time line of a sweep's slots: start-up, trials and idle time."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cifar_dist.documents import TuneDocument
from cifar_dist.report.figures.drawing import BLUE, GRAY, INK, ORANGE, PURPLE, picture
from cifar_dist.report.formats import counted, percent
from cifar_dist.report.pictures import Picture
from cifar_dist.report.slots import Lanes
from cifar_dist.report.study import Study
from cifar_dist.report.sweep_figures.parallel import MOST_VECTORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_Bars = list[tuple[float, float]]
_GAP = 0.0012  # between two trials, of the whole width
_MINUTES, _HOURS = 180.0, 3 * 3600.0  # from here on, seconds are shown in these
_COLORS = {
    "start-up": ORANGE,
    "finished": BLUE,
    "pruned": GRAY,
    "failed": PURPLE,
    "cut short, resumed": "#c9b458",
}


def pictures(document: TuneDocument, study: Study) -> Iterator[Picture]:
    """Draw a lane for each slot unless it was not kept when trials ran."""
    from matplotlib.figure import Figure

    found = study.lanes
    if not document.spans or not found.wall_seconds:
        return
    figure = Figure(figsize=(10.0, min(0.38 * len(found.lanes), 9.0) + 1.5), layout="constrained")
    axes: Any = figure.subplots()
    _draw(axes, document, found)
    axes.set_ylim(len(found.lanes) - 0.4, -0.6)
    axes.set_yticks(range(len(found.lanes)), [f"slot {n + 1}" for n in range(len(found.lanes))])
    if len(found.lanes) > 24:  # noqa: PLR2004
        axes.set_yticks([])
    axes.tick_params(axis="y", length=0)
    axes.spines[["left"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=10)
    shares = ", ".join(f"{percent(share, 1)} {what}" for what, share in found.shares.items())
    lanes = counted(len(found.lanes), "slot")
    yield picture("slots", f"Time line of {lanes}: {shares}.", figure)


def _draw(axes: "Axes", document: TuneDocument, found: Lanes) -> None:
    scale, unit = _unit(found.wall_seconds)
    whole = [(0.0, found.wall_seconds / scale)]
    for lane in range(len(found.lanes)):
        axes.broken_barh(whole, (lane - 0.4, 0.8), color=INK, alpha=0.07, linewidth=0)
    raster = len(document.spans) > MOST_VECTORS
    gap = 0.0 if raster else _GAP * found.wall_seconds
    for kind, lanes in _bars(document, found, gap).items():
        style: dict[str, Any] = {"color": _COLORS[kind], "linewidth": 0, "rasterized": raster}
        for lane, bars in lanes.items():
            scaled = [(begin / scale, seconds / scale) for begin, seconds in bars]
            axes.broken_barh(scaled, (lane - 0.4, 0.8), **style)
        if lanes:
            axes.broken_barh([], (0, 0), color=_COLORS[kind], label=kind)
    axes.set_xlim(whole[0])
    axes.set_xlabel(unit)


def _unit(seconds: float) -> tuple[float, str]:
    if seconds < _MINUTES:
        return 1.0, "seconds"
    return (60.0, "minutes") if seconds < _HOURS else (3600.0, "hours")


def _bars(document: TuneDocument, found: Lanes, gap: float) -> dict[str, dict[int, _Bars]]:
    """Give (begin, seconds) by kind and lane; a trial's start-up is that of its last span."""
    rows = {trial.trial: trial for trial in document.trials}
    last = {span.trial: span for span in document.spans}
    bars: dict[str, dict[int, _Bars]] = {kind: {} for kind in _COLORS}
    for lane, spans in enumerate(found.lanes):
        for span in spans:
            row = rows.get(span.trial)
            is_last = row is not None and last[span.trial] is span
            kind = row.state if row is not None and is_last else "cut short, resumed"
            start = min(row.start_seconds or 0.0, _seconds(span)) if row and is_last else 0.0
            if start:
                bars["start-up"].setdefault(lane, []).append((span.begin_seconds, start))
            work = (span.begin_seconds + start, max(0.0, _seconds(span) - start - gap))
            bars[kind].setdefault(lane, []).append(work)
    return bars


def _seconds(span: Any) -> float:
    return float(span.end_seconds - span.begin_seconds)
