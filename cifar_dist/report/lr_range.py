"""A learning-rate range test for people: loss against rate, and what it suggests."""

from pathlib import Path
from textwrap import fill
from typing import Any

from cifar_dist.documents import LrRangeDocument
from cifar_dist.report.figures.drawing import style
from cifar_dist.report.formats import DASH, counted, short

_GRAY, _ORANGE, _BLUE, _PURPLE = "#b0b0b0", "#d55e00", "#2f8fd0", "#cc79a7"
_HEADROOM = 1.3  # of the first loss: what is higher is divergence, whatever its height
_CAPTION = 110  # characters of a line


def save_lr_range(document: LrRangeDocument, path: Path) -> None:
    """Write loss against learning rate as a PNG, the suggestion marked."""
    from matplotlib.figure import Figure

    rates = [row.lr for row in document.rows]
    smoothed = [row.smoothed_loss for row in document.rows]
    with style():
        figure = Figure(figsize=(8, 4.8), layout="constrained")
        axes = figure.subplots()
        axes.plot(rates, [row.loss for row in document.rows], color=_GRAY, label="loss of a step")
        axes.plot(rates, smoothed, color=_ORANGE, linewidth=2.4, label="smoothed")
        for label, rate, look in _marks(document):
            axes.axvline(rate, label=f"{label}: {rate:.2g}", **look)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_ylim(0.9 * min(smoothed), _HEADROOM * smoothed[0])
        axes.set_xlabel("learning rate")
        axes.set_ylabel("training loss")
        axes.set_title("Learning-rate range test", loc="left", fontweight="bold")
        axes.legend(frameon=False, fontsize=10)
        figure.supxlabel(fill(_caption(document), _CAPTION), fontsize=8, color="#5a5a5a")
        figure.savefig(path, format="png", dpi=150, metadata={"Software": None})


def lr_range_text(document: LrRangeDocument) -> str:
    """Say what the test suggests and why."""
    divergence = f"{document.divergence_lr:.2g}" if document.divergence_lr else DASH
    return "\n".join(
        [
            f"suggested  {document.suggested_lr:.2g}  (--lr, or recipe.optimizer.lr)",
            f"steepest   {document.steepest_lr:.2g}  where the loss falls fastest",
            f"diverged   {divergence}  the suggestion is at most a tenth of it",
            _caption(document),
        ]
    )


def _marks(document: LrRangeDocument) -> list[tuple[str, float, dict[str, Any]]]:
    marks: list[tuple[str, float, dict[str, Any]]] = [
        ("steepest descent", document.steepest_lr, {"color": _BLUE, "linestyle": ":"}),
        ("suggested", document.suggested_lr, {"color": _BLUE, "linewidth": 2.0}),
    ]
    if document.divergence_lr is not None:
        style = {"color": _PURPLE, "linestyle": "--"}
        marks.append(("diverged", document.divergence_lr, style))
    return marks


def _caption(document: LrRangeDocument) -> str:
    recipe, data = document.job["recipe"], document.data
    return (
        f"{recipe['model']['name']} ({counted(document.parameters, 'parameter')}) with "
        f"{recipe['optimizer']['name']}, batches of {recipe['batch_size']}, "
        f"{counted(len(document.rows), 'step')} on {data.train_images:,} training images of "
        f"{ascii(data.source)[1:-1]} (SHA-256 {short(data.sha256)}, split "
        f"{short(data.split_sha256)}, seed {recipe['seed']}), {document.precision} on "
        f"{document.device}."
    )
