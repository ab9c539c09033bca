"""What a model is made of: how far its layers see, what they weigh, cost and leave in memory."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cifar_dist.documents import FieldRow, LayerRow, ModelDocument, TrainDocument
from cifar_dist.report.evidence import Evidence
from cifar_dist.report.figures.drawing import BLUE, GRAY, INK, ORANGE, PURPLE, picture
from cifar_dist.report.formats import counted, size
from cifar_dist.report.pictures import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_IMAGE = 32  # pixels along an edge
_KILO, _MEGA = 1e3, 1e6
_MARKS = {"stride": ("s", ORANGE), "dilation": ("D", PURPLE)}
_OTHERS = "others"
_KINDS = {
    "convolution or linear": (("Conv", "Linear"), BLUE),
    "norm": (("Norm",), ORANGE),
    "dropout": (("Dropout",), PURPLE),
    _OTHERS: ((), GRAY),
}
"""Layers by a word of their type."""


def pictures(document: TrainDocument, evidence: Evidence) -> Iterator[Picture]:
    """Draw `receptive_field`, `layers` and `activation_memory`."""
    if evidence.model is not None:
        yield from model_pictures(evidence.model)


def model_pictures(model: ModelDocument) -> Iterator[Picture]:
    """Draw what is known of an architecture without training it."""
    if rows := model.receptive_field:
        yield picture("receptive_field", _fields(rows), receptive_field(rows))
    if weighted := [row for row in model.layers if row.parameters]:
        most = max(weighted, key=lambda row: row.multiply_accumulates)
        alt = (
            f"Parameters and multiply-accumulates of the {counted(len(weighted), 'layer')} with "
            f"parameters; {most.type}-{most.index} works most, {brief(most.multiply_accumulates)} "
            f"of {brief(model.multiply_accumulates)}."
        )
        yield picture("layers", alt, layers(weighted))
    if model.layers:
        largest = max(model.layers, key=lambda row: row.activation_bytes)
        alt = (
            f"Memory of each layer's output for one image; {largest.type}-{largest.index} "
            f"has the largest, {size(largest.activation_bytes)}."
        )
        yield picture("activation_memory", alt, activation_memory(model.layers))


def receptive_field(rows: Sequence[FieldRow]) -> "Figure":
    """Draw how many pixels of the image each layer sees, against its depth."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    axes = figure.subplots()
    depths, fields = range(1, len(rows) + 1), [row.field for row in rows]
    axes.plot(depths, fields, color=BLUE, linewidth=2.0, marker="o", markersize=5.0)
    for option, (marker, color) in _MARKS.items():
        chosen = [depth for depth in depths if getattr(rows[depth - 1], option) > 1]
        if chosen:
            axes.plot(chosen, [fields[depth - 1] for depth in chosen], color=color, marker=marker,
                      markersize=8.0, linestyle="none", label=f"{option} above 1")  # fmt: skip
    axes.axhline(_IMAGE, color=INK, linewidth=1.2, linestyle=":", label="the image")
    axes.set_yscale("log", base=2)
    axes.set_ylim(bottom=1)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    axes.annotate(f"{fields[-1]}", (len(rows), fields[-1]), (6, 0), textcoords="offset points",
                  va="center", fontweight="bold")  # fmt: skip
    axes.set_xlabel("depth in convolutions and poolings")
    axes.set_ylabel("receptive field in pixels")
    axes.grid(visible=True, axis="y")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return figure


def layers(rows: Sequence[LayerRow]) -> "Figure":
    """Draw paired bars: parameters and multiply-accumulates of each layer."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 0.21 * len(rows) + 1.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _bars(left, [row.parameters for row in rows], BLUE)
    _bars(right, [row.multiply_accumulates for row in rows], ORANGE)
    left.set_title("Parameters", loc="left", fontweight="bold")
    right.set_title("Multiply-accumulates", loc="left", fontweight="bold")
    left.set_yticks(range(len(rows)), [f"{row.type}-{row.index}" for row in rows], fontsize=9)
    left.set_ylim(len(rows) - 0.4, -0.6)
    return figure


def activation_memory(rows: Sequence[LayerRow]) -> "Figure":
    """Draw the bytes of each layer's output for one image, in the order of the layers."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    axes = figure.subplots()
    for kind, (_, color) in _KINDS.items():
        shown = [row for row in rows if _kind(row) == kind]
        if shown:
            axes.bar([row.index for row in shown], [row.activation_bytes / _KILO for row in shown],
                     color=color, label=kind)  # fmt: skip
    axes.set_xlabel("layer, as numbered in the table")
    axes.set_ylabel("output in kB per image")
    axes.set_xlim(0.3, len(rows) + 0.7)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.grid(visible=True, axis="y")
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    return figure


def brief(number: float) -> str:
    """Write a count to three figures in the unit that fits."""
    if number < _KILO:
        return f"{number:g}"
    unit, letter = (_MEGA, "M") if number >= 0.9995 * _MEGA else (_KILO, "k")
    return f"{number / unit:.3g} {letter}"


def _bars(axes: "Axes", values: Sequence[int], color: str) -> None:
    bars = axes.barh(range(len(values)), values, color=color, height=0.75)
    axes.bar_label(bars, [brief(value) if value else "" for value in values], padding=3, fontsize=8)
    axes.set_xlim(0, 1.18 * max(*values, 1))
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(left=False)


def _kind(row: LayerRow) -> str:
    found = [kind for kind, (words, _) in _KINDS.items() if any(w in row.type for w in words)]
    return found[0] if found else _OTHERS


def _fields(rows: Sequence[FieldRow]) -> str:
    wide = next((row.layer for row in rows if row.field >= _IMAGE), None)
    passed = f", the whole image's 32 from {wide} on" if wide else ", less than the image's 32"
    return (
        f"Receptive field by depth: {rows[0].field} pixels after {rows[0].layer}, "
        f"{rows[-1].field} after {rows[-1].layer}{passed}."
    )
