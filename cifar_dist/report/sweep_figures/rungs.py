"""The rungs: what each trial had come to where ASHA decided, and who was cut there."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cifar_dist.documents import TrialRow, TuneDocument
from cifar_dist.report.figures.drawing import BLUE, GRAY, ORANGE, PURPLE, picture
from cifar_dist.report.formats import counted
from cifar_dist.report.pictures import Picture
from cifar_dist.report.study import Study
from cifar_dist.report.sweep_figures.parallel import MOST_VECTORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SPREAD = 0.09
_LINES: dict[str, dict[str, Any]] = {
    "pruned": {"color": GRAY, "linewidth": 0.8, "alpha": 0.6},
    "failed": {"color": PURPLE, "linewidth": 0.8, "alpha": 0.7},
    "finished": {"color": BLUE, "linewidth": 1.1, "alpha": 0.8},
}
_WENT_ON: dict[str, Any] = {"color": BLUE, "marker": "o", "markersize": 5, "linestyle": "none"}
_CUT: dict[str, Any] = {"color": GRAY, "marker": "x", "markersize": 6, "linestyle": "none"}
_WINNER: dict[str, Any] = {"color": ORANGE, "linewidth": 2.8, "marker": "o", "zorder": 5}
_Path = list[tuple[float, float]]


def pictures(document: TuneDocument, study: Study) -> Iterator[Picture]:
    """Draw a column for each rung, and one for the end."""
    from matplotlib.figure import Figure

    if not study.rungs:
        return
    epochs = [row.epoch for row in study.rungs]
    figure = Figure(figsize=(9.6, 4.4), layout="constrained")
    axes: Any = figure.subplots()
    _draw(axes, document, epochs)
    counts = [
        f"epoch {row.epoch}\n{row.reached:,} reached it\n{len(row.cut):,} cut"
        for row in study.rungs
    ]
    ended = sum(trial.state == "finished" for trial in document.trials)
    axes.set_xticks(range(len(epochs) + 1), [*counts, f"end\n{ended:,} finished"])
    axes.set_xlim(-0.35, len(epochs) + 0.35)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    cuts = [
        f"{counted(len(row.cut), 'trial')} of {row.reached:,} after epoch {row.epoch}"
        for row in study.rungs
    ]
    yield picture("rungs", f"Where trials were cut: {', '.join(cuts)}.", figure)


def _draw(axes: "Axes", document: TuneDocument, epochs: list[int]) -> None:
    from matplotlib.ticker import PercentFormatter

    raster = len(document.trials) > MOST_VECTORS
    paths = {trial.trial: _path(trial, epochs) for trial in document.trials}
    for state, style in _LINES.items():
        chosen = [paths[t.trial] for t in document.trials if t.state == state]
        x, y = _joined(chosen)
        axes.plot(x, y, rasterized=raster, zorder=1, **style)
    cut = [path[-1] for t in document.trials if t.state == "pruned" and (path := paths[t.trial])]
    went_on = [
        point
        for trial in document.trials
        for point in (paths[trial.trial][:-1] if trial.state == "pruned" else paths[trial.trial])
    ]
    for label, points, style in (("went on", went_on, _WENT_ON), ("cut", cut, _CUT)):
        x, y = _joined([[point] for point in points])
        axes.plot(x, y, label=label, rasterized=raster, zorder=3, **style)
    if best := paths.get(-1 if document.best is None else document.best):
        axes.plot(*zip(*best, strict=True), label=f"trial {document.best}, the winner", **_WINNER)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.set_ylabel("validation accuracy")
    axes.grid(visible=True, axis="y")


def _path(trial: TrialRow, epochs: list[int]) -> _Path:
    """Give a trial's points: its rungs, and its score if it finished."""
    aside = _SPREAD * (2 * (trial.trial * 0.6180339887 % 1) - 1)
    points = [(epochs.index(rung.epoch) + aside, rung.value) for rung in trial.rungs]
    if trial.state == "finished" and trial.validation_accuracy is not None:
        points.append((len(epochs) + aside, trial.validation_accuracy))
    return points


def _joined(paths: list[_Path]) -> tuple[list[float], list[float]]:
    """Write paths as one line with gaps, which stays fast for thousands."""
    nothing = float("nan")
    points = [point for path in paths for point in [*path, (nothing, nothing)]]
    return [x for x, _ in points], [y for _, y in points]
