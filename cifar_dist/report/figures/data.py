"""What a run learned from: images of each class, their numbers, the policy's draws, the rates."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cifar_dist.documents import Split, SplitStatistics, TrainDocument
from cifar_dist.report.evidence import Evidence
from cifar_dist.report.figures.drawing import BLUE, GRAY, ORANGE, photograph, picture
from cifar_dist.report.figures.sheets import brief, by_class, sheet
from cifar_dist.report.formats import counted
from cifar_dist.report.pictures import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 16
_MARKED = 40  # epochs; the marks of more would be a band
_NAMES: dict[Split, str] = {"train": "training", "validation": "validation", "test": "test"}


def pictures(document: TrainDocument, evidence: Evidence) -> Iterator[Picture]:
    """Draw `classes`, `class_distribution`, `augmentation` and `learning_rate`."""
    names = document.data.classes
    if (split := evidence.sampled) is not None:
        yield classes(evidence.images[split], evidence.labels[split], names, split)
    if evidence.statistics:
        yield class_distribution(evidence.statistics, names)
    if evidence.augmented is not None:
        yield augmentation(evidence.augmented)
    if document.history or evidence.schedule:
        yield learning_rate(document, evidence.schedule)


def classes(
    pixels: NDArray[np.uint8], labels: ArrayLike, names: Sequence[str], split: Split
) -> Picture:
    """Draw a contact sheet: the first images of each class."""
    rows = by_class(pixels, labels, len(names), _COLUMNS)
    alt = f"The first {_NAMES[split]} images of each class, a row for each: {_listed(names)}."
    return photograph("classes", alt, sheet(rows, names))


def class_distribution(statistics: Sequence[SplitStatistics], names: Sequence[str]) -> Picture:
    """Draw how many images each class has, a panel for each split."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(statistics) + 1.4, 0.3 * len(names) + 1.1),
                    layout="constrained")  # fmt: skip
    panels = figure.subplots(1, len(statistics), squeeze=False, sharey=True)[0]
    for axes, split in zip(panels, statistics, strict=True):
        counts = [split.class_counts.get(name, 0) for name in names]
        bars = axes.barh(range(len(names)), counts, color=BLUE, height=0.7)
        axes.bar_label(bars, [f"{count:,}" for count in counts], padding=3, fontsize=9)
        axes.set_title(_NAMES[split.split].capitalize(), loc="left", fontweight="bold")
        axes.set_xlabel(f"{split.images:,} images")
        axes.set_xlim(0, 1.2 * max(*counts, 1))
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(left=False)
        axes.set_yticks(range(len(names)), [brief(name) for name in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
    parts = [f"{_NAMES[split.split]} {_range(split)}" for split in statistics]
    return picture("class_distribution", f"Images of each class: {'; '.join(parts)}.", figure)


def augmentation(drawn: NDArray[np.uint8]) -> Picture:
    """Draw training images and what the policy makes of them, epoch by epoch."""
    rows, columns = drawn.shape[:2]
    heads = ["original", *(f"epoch {column}" for column in range(1, columns))]
    alt = (
        f"{counted(rows, 'training image')}, one in each row: first as it is, then as the run's "
        f"augmentation changes it in {counted(columns - 1, 'epoch')}."
    )
    return photograph("augmentation", alt, sheet(list(drawn), heads=heads, scale=3))


def learning_rate(document: TrainDocument, planned: Sequence[tuple[float, float]]) -> Picture:
    """Draw the schedule as a line and, at the end of each epoch, the rate that was used."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    axes = figure.subplots()
    _shade_warmup(axes, document)
    if planned:
        axes.plot(*zip(*planned, strict=True), color=BLUE, linewidth=2.0, label="schedule")
    if ran := [(record.epoch, record.lr) for record in document.history]:
        size = 5.0 if len(ran) <= _MARKED else 2.0
        axes.plot(*zip(*ran, strict=True), color=ORANGE, linestyle="none", marker="o",
                  markersize=size, label="used, at an epoch's end")  # fmt: skip
    axes.set_xlabel("epochs done")
    axes.set_ylabel("learning rate")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter("{x:.3g}")
    axes.grid(visible=True, axis="y")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return picture("learning_rate", _rates(planned, document), figure)


def _shade_warmup(axes: "Axes", document: TrainDocument) -> None:
    if epochs := document.job.get("recipe", {}).get("warmup_epochs", 0):
        axes.axvspan(0, epochs, color=GRAY, alpha=0.2, linewidth=0, label="warm-up")


def _rates(planned: Sequence[tuple[float, float]], document: TrainDocument) -> str:
    parts = []
    if planned:
        (_, first), (end, last) = planned[0], planned[-1]
        peak, highest = max(planned, key=lambda point: point[1])
        parts.append(
            f"scheduled from {first:.3g} to {last:.3g} over {end:g} epochs, "
            f"highest {highest:.3g} after {peak:.3g}"
        )
    if document.history:
        ran = counted(len(document.history), "epoch")
        parts.append(f"{ran} ran, the last at {document.history[-1].lr:.3g}")
    return f"Learning rate: {'; '.join(parts)}."


def _range(split: SplitStatistics) -> str:
    counts = split.class_counts.values()
    fewest, most = min(counts, default=0), max(counts, default=0)
    return f"{most:,} of every class" if fewest == most else f"from {fewest:,} to {most:,}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(brief(name) for name in names)
