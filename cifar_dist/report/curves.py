"""Learning curves: one drawing, saved as curves.png and set into the page as scalable pictures."""

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cifar_dist.documents import EpochRecord, TrainDocument, TrialRow, TuneDocument
from cifar_dist.report.formats import counted, decimal, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# After Okabe and Ito, told apart with every kind of color blindness; dashes repeat the message.
# The blue is lighter than theirs, to be seen on a dark page too.
_BLUE, _ORANGE, _PURPLE, _GRAY = "#2f8fd0", "#d55e00", "#cc79a7", "#8a8a8a"
_INK = "#1d2126"  # becomes the page's own text color, light or dark
_ABOVE_CHANCE = 1.5  # a diverging loss is cut off here, in units of guessing's loss
_VECTOR_POINTS = 5_000  # more points than this are set into the page as pixels
_TRAINING: dict[str, Any] = {"color": _BLUE, "linestyle": "--"}
_VALIDATION: dict[str, Any] = {"color": _ORANGE}
_WINNER: dict[str, Any] = {"color": _ORANGE, "linewidth": 2.8, "zorder": 5}
_STATES: dict[str, dict[str, Any]] = {
    "finished": {"color": _BLUE, "linewidth": 1.2, "alpha": 0.85},
    "pruned": {"color": _GRAY, "linewidth": 1.0, "linestyle": "--", "marker": "x"},
    "failed": {"color": _PURPLE, "linewidth": 1.2, "linestyle": ":", "marker": "s"},
}


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


def save_curves(document: TrainDocument | TuneDocument, path: Path) -> None:
    """Write all panels side by side as a PNG."""
    with _style():
        panels = _panels(document)
        figure = _figure(panels, width=5.6 * len(panels))
        figure.savefig(path, format="png", dpi=150, metadata={"Software": None})


def inline_curves(document: TrainDocument | TuneDocument) -> list[tuple[str, str]]:
    """Give each panel as a description and SVG markup that follows the page's colors."""
    with _style():
        return [(panel.alt, _markup(panel, index)) for index, panel in enumerate(_panels(document))]


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
    for state, style in _STATES.items():
        others = [t for t in document.trials if t.state == state and t.trial != document.best]
        if histories := [trial.history for trial in others if trial.history]:
            curves.append(_curve(state, histories, name, style))
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
    return _ABOVE_CHANCE * math.log(max(classes, 2)) if measure == "loss" else math.inf


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


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib as mpl

    ink = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    settings: Any = {
        "font.size": 11,
        "text.parse_math": False,  # a $ in a name is a dollar sign
        "svg.fonttype": "none",
        "svg.hashsalt": "cifar-dist",  # else ids differ from one rendering to the next
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": _INK,
        "grid.alpha": 0.15,
        **dict.fromkeys(ink, _INK),
    }
    with mpl.rc_context(settings):
        yield


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
    from matplotlib.ticker import MaxNLocator, PercentFormatter

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
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    if not any(map(math.isfinite, (value for curve in panel.curves for value in curve.values))):
        axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center")
        axes.set(xticks=[], yticks=[])
        return
    if panel.best is not None:
        label = f"kept: epoch {panel.best}"
        axes.axvline(panel.best, color=_INK, linewidth=1.2, linestyle=":", label=label)
    if axes.get_ylim()[1] > panel.top:
        axes.set_ylim(top=panel.top)


def _markup(panel: _Panel, index: int) -> str:
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    _figure([panel], width=5.6).savefig(
        buffer, format="svg", transparent=True, dpi=150, metadata=nothing
    )
    svg = "<svg" + buffer.getvalue().partition("<svg")[2]
    head, _, body = svg.partition(">")
    head = re.sub(r'\s(xmlns(:xlink)?|width|height|version)="[^"]*"', "", head)
    body = body.replace(_INK, "currentColor")
    # Ids are unique within a picture, not within a page.
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>panel-{index}-", body)
    return f'{head} aria-hidden="true">{body}'
