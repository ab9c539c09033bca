"""The page of a comparison: one file that reuses the report's frame."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cifar_dist.documents import CompareDocument, ComparedRun
from cifar_dist.report.comparison import STABILITY_EPOCHS
from cifar_dist.report.curves import highest_loss
from cifar_dist.report.figures.drawing import BLUE, INK, ORANGE, picture, style
from cifar_dist.report.guarded import guarded
from cifar_dist.report.overfitting import RULE
from cifar_dist.report.page import environment
from cifar_dist.report.pictures import Picture
from cifar_dist.report.summaries import (
    difference_cells,
    measures,
    p_value,
    paired_sentence,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 3
_MEASURES = ("loss", "accuracy")
_LINES: dict[str, dict[str, Any]] = {
    "train": {"color": BLUE, "linestyle": "--", "label": "training"},
    "validation": {"color": ORANGE, "label": "validation"},
}


def comparison_page(document: CompareDocument) -> str:
    """Render the page."""
    first = document.runs[0].name
    templates = environment()
    templates.filters["p_value"] = p_value
    return templates.get_template("compare/compare.html").render(
        document=document,
        names=[run.name for run in document.runs],
        measures=measures(document),
        sentences=[paired_sentence(test) for test in document.tests if test.first == first],
        differences=[(row.path, difference_cells(row)) for row in document.differences],
        curves=guarded("the learning curves", curves, document.runs),
        rule=RULE,
        stability_epochs=STABILITY_EPOCHS,
    )


def curves(runs: Sequence[ComparedRun]) -> Picture:
    """Draw the learning curves of all runs side by side, on the same axes."""
    from matplotlib.figure import Figure

    columns, bands = min(len(runs), _COLUMNS), math.ceil(len(runs) / _COLUMNS)
    with style():
        figure = Figure(figsize=(10.0, 6.0 * bands), layout="constrained")
        grid = figure.subplots(2 * bands, columns, squeeze=False)
        for index, run in enumerate(runs):
            band, column = divmod(index, _COLUMNS)
            for axes, first, measure in zip(
                grid[2 * band : 2 * band + 2, column], grid[:2, 0], _MEASURES, strict=True
            ):
                if axes is not first:
                    axes.sharey(first)
                _draw(axes, run, measure)
                axes.set_ylabel("" if column else measure)
            grid[2 * band, column].set_title(
                _broken(run.name), loc="left", fontsize=10, fontweight="bold"
            )
        for axes in grid[-2:, len(runs) - columns * (bands - 1) :].flat:
            axes.set_axis_off()
        _limit(grid[0, 0], runs)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
        return picture("compared_curves", _alt(runs), figure)


def _draw(axes: "Axes", run: ComparedRun, measure: str) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    for part, look in _LINES.items():
        known = [
            (record.epoch, value)
            for record in run.history
            if (value := getattr(record, f"{part}_{measure}")) is not None
        ]
        epochs, values = zip(*known, strict=True) if known else ((), ())
        ends = [-1] if known else []
        axes.plot(epochs, values, linewidth=2, marker="o", markersize=5, markevery=ends, **look)
    if run.best_epoch:
        axes.axvline(run.best_epoch, color=INK, linewidth=1.2, linestyle=":")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    axes.grid(visible=True, axis="y")
    if measure == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))


def _limit(axes: "Axes", runs: Sequence[ComparedRun]) -> None:
    top = highest_loss(len(runs[0].data.classes))
    if axes.get_ylim()[1] > top:
        axes.set_ylim(top=top)


def _broken(name: str) -> str:
    lines = [name[start : start + 30] for start in range(0, len(name), 30)]
    return "\n".join(lines)


def _alt(runs: Sequence[ComparedRun]) -> str:
    parts = []
    for run in runs:
        losses = [r.validation_loss for r in run.history if r.validation_loss is not None]
        course = f"from {losses[0]:.4f} to {losses[-1]:.4f}" if losses else "not measured"
        parts.append(f"{run.name}: validation loss {course}")
    return f"Learning curves side by side. {'; '.join(parts)}."
