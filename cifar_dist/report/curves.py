"""Learning curves: one drawing, saved as curves.png and set into the page as scalable pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cifar_dist.documents import EpochRecord, TrainDocument, TrialRow, TuneDocument
from cifar_dist.report.figures.drawing import (
    BLUE,
    GRAY,
    INK,
    ORANGE,
    PURPLE,
    markup,
    png,
    style,
)
from cifar_dist.report.formats import counted, decimal, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ABOVE_CHANCE = 1.5  # a diverging loss is cut off here, in units of guessing's loss
_READOUTS = 1_000  # epochs; of longer histories every n-th can be read
_VECTOR_POINTS = 5_000  # more points than this are set into the page as pixels
_TRAINING: dict[str, Any] = {"color": BLUE, "linestyle": "--"}
_VALIDATION: dict[str, Any] = {"color": ORANGE}
_WINNER: dict[str, Any] = {"color": ORANGE, "linewidth": 2.8, "zorder": 5}
_STATES: dict[str, dict[str, Any]] = {
    "finished": {"color": BLUE, "linewidth": 1.2, "alpha": 0.85},
    "pruned": {"color": GRAY, "linewidth": 1.0, "linestyle": "--", "marker": "x"},
    "failed": {"color": PURPLE, "linewidth": 1.2, "linestyle": ":", "marker": "s"},
}


@dataclass(frozen=True)
class Chart:
    """A panel as markup that follows the page's colors, and what its readout needs."""

    alt: str
    svg: str
    readout: dict[str, Any] | None
    """The axes' place as shares of the picture (left, top, right, bottom), their limits, and the
    values of each epoch; None where a panel shows more than one history."""


@dataclass(frozen=True)
class _Curve:
    """Histories drawn as one line with gaps, which stays fast for thousands of trials."""

    label: str
    epochs: list[float]
    values: list[float]
    ends: list[int]
    """Where the histories end; only these points are marked."""
    style: dict[str, Any]


@dataclass(frozen=True)
class _Panel:
    title: str
    alt: str
    curves: list[_Curve]
    is_share: bool = False
    best: int | None = None
    top: float = math.inf


def curves_png(document: TrainDocument | TuneDocument) -> bytes:
    """Draw all panels side by side."""
    with style():
        panels = _panels(document)
        return png(_figure(panels, width=5.6 * len(panels)))


def charts(document: TrainDocument | TuneDocument) -> list[Chart]:
    """Draw each panel on its own, for a page."""
    with style():
        return [_chart(panel) for panel in _panels(document)]


def highest_loss(classes: int) -> float:
    """Give the loss at which curves are cut off."""
    return _ABOVE_CHANCE * math.log(max(classes, 2))


def _panels(document: TrainDocument | TuneDocument) -> list[_Panel]:
    if isinstance(document, TrainDocument):
        return [_run_panel(document, "loss"), _run_panel(document, "accuracy")]
    return [_sweep_panel(document, "loss"), _sweep_panel(document, "accuracy")]


def _run_panel(document: TrainDocument, measure: str) -> _Panel:
    curves = [
        _curve("training", [document.history], f"train_{measure}", _TRAINING),
        _curve("validation", [document.history], f"validation_{measure}", _VALIDATION),
    ]
    shown = [curve for curve in curves if any(map(math.isfinite, curve.values))]
    write = percent if measure == "accuracy" else decimal
    parts = [
        f"{curve.label} from {write(known[0])} to {write(known[-1])}"
        for curve in shown
        if (known := [value for value in curve.values if math.isfinite(value)])
    ]
    return _Panel(
        title=measure.capitalize(),
        alt=f"{measure.capitalize()} over {counted(len(document.history), 'epoch')}: "
        f"{', '.join(parts) or 'no values'}.",
        curves=shown,
        is_share=measure == "accuracy",
        best=document.best_epoch if document.history else None,
        top=_top(measure, len(document.data.classes)),
    )


def _sweep_panel(document: TuneDocument, measure: str) -> _Panel:
    name, curves = f"validation_{measure}", []
    for state, look in _STATES.items():
        others = [t for t in document.trials if t.state == state and t.trial != document.best]
        if histories := [trial.history for trial in others if trial.history]:
            curves.append(_curve(state, histories, name, look))
    winner = [trial for trial in document.trials if trial.trial == document.best]
    for trial in winner:
        curves.append(_curve(f"trial {trial.trial}, the winner", [trial.history], name, _WINNER))
    return _Panel(
        title=f"Validation {measure}",
        alt=f"Validation {measure} by epoch of {counted(len(document.trials), 'trial')}. "
        f"{_winner(winner, measure)}",
        curves=curves,
        is_share=measure == "accuracy",
        top=_top(measure, len(document.data.classes)),
    )


def _winner(winner: list[TrialRow], measure: str) -> str:
    if not winner:
        return "No trial won."
    write = percent if measure == "accuracy" else decimal
    value = getattr(winner[0], f"validation_{measure}")
    return f"The winner, trial {winner[0].trial}, reached {write(value)}."


def _top(measure: str, classes: int) -> float:
    return highest_loss(classes) if measure == "loss" else math.inf


def _curve(
    label: str, histories: Sequence[Sequence[EpochRecord]], name: str, style: dict[str, Any]
) -> _Curve:
    curve = _Curve(label, [], [], [], style)
    for history in histories:
        for record in history:
            value = getattr(record, name)
            curve.epochs.append(record.epoch)
            curve.values.append(math.nan if value is None else value)
        curve.ends.append(len(curve.values) - 1)
        curve.epochs.append(math.nan)
        curve.values.append(math.nan)
    return curve


def _figure(panels: Sequence[_Panel], width: float) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, 4.0), layout="constrained")
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel in zip(row, panels, strict=True):
        _draw(axes, panel)
    pairs = [pair for axes in row for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    if entries := {label: line for line, label in pairs}:
        # Outside the axes it covers no curve.
        figure.legend(entries.values(), entries.keys(), loc="outside lower center",
                      ncols=len(entries), frameon=False, fontsize=10)  # fmt: skip
    return figure


def _draw(axes: "Axes", panel: _Panel) -> None:
    from matplotlib.ticker import MaxNLocator

    points = sum(len(curve.values) for curve in panel.curves)
    for curve in panel.curves:
        style = {"linewidth": 2.0, "marker": "o", "markersize": 5.0, **curve.style}
        raster = points > _VECTOR_POINTS
        axes.plot(curve.epochs, curve.values, label=curve.label, markevery=curve.ends,
                  rasterized=raster, **style)  # fmt: skip
    axes.set_title(panel.title, loc="left", fontweight="bold")
    axes.set_xlabel("epoch")
    axes.set_xmargin(0.02)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    axes.grid(visible=True, axis="y")
    if panel.is_share:
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.4g} %")
    if not any(map(math.isfinite, (value for curve in panel.curves for value in curve.values))):
        axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center")
        axes.set(xticks=[], yticks=[])
        return
    if panel.best is not None:
        label = f"kept: epoch {panel.best}"
        axes.axvline(panel.best, color=INK, linewidth=1.2, linestyle=":", label=label)
    if axes.get_ylim()[1] > panel.top:
        axes.set_ylim(top=panel.top)


def _chart(panel: _Panel) -> Chart:
    figure = _figure([panel], width=5.6)
    svg = markup(panel.title.replace(" ", "-").lower(), figure)  # which also lays it out
    first = panel.curves[:1]
    single = all(len(c.ends) == 1 and c.epochs == first[0].epochs for c in panel.curves)
    readout = _readout(panel, figure.axes[0]) if first and single else None
    return Chart(panel.alt, svg, readout)


def _readout(panel: _Panel, axes: "Axes") -> dict[str, Any]:
    box = axes.get_position()
    step = len(panel.curves[0].epochs) // _READOUTS + 1

    def known(values: list[float]) -> list[float | None]:
        return [value if math.isfinite(value) else None for value in values[:-1:step]]

    return {
        "box": [round(share, 4) for share in (box.x0, 1 - box.y1, box.x1, 1 - box.y0)],
        "x": axes.get_xlim(),
        "y": axes.get_ylim(),
        "share": panel.is_share,
        "epochs": known(panel.curves[0].epochs),
        "curves": [
            {"label": c.label, "color": c.style["color"], "values": known(c.values)}
            for c in panel.curves
        ],
    }
