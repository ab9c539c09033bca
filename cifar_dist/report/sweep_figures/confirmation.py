"""The best configurations with further seeds: each accuracy, their mean and its interval."""

from collections.abc import Iterator
from typing import Any

from cifar_dist.documents import TuneDocument
from cifar_dist.report.confirmation import described_mean
from cifar_dist.report.figures.drawing import BLUE, GRAY, ORANGE, picture
from cifar_dist.report.formats import counted
from cifar_dist.report.pictures import Picture
from cifar_dist.report.study import Study


def pictures(document: TuneDocument, study: Study) -> Iterator[Picture]:
    """Draw a row for each confirmed trial; its score in the sweep is a hollow mark."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    found = document.confirmed
    if found is None or all(trial.mean is None for trial in found.trials):
        return
    figure = Figure(figsize=(9.6, 0.45 * len(found.trials) + 1.4), layout="constrained")
    axes: Any = figure.subplots()
    known = {trial.trial: trial.validation_accuracy for trial in document.trials}
    for place, trial in enumerate(found.trials):
        color = ORANGE if trial.trial == document.best else BLUE
        seeds = [value for value in trial.accuracies if value is not None]
        axes.plot(seeds, [place + 0.2] * len(seeds), "|", color=color, markersize=9,
                  label="one seed" if place == 0 else None)  # fmt: skip
        if trial.mean is not None:
            axes.errorbar([trial.mean], [place], xerr=trial.half_width, fmt="o", color=color,
                          capsize=4, linewidth=2.0,
                          label="mean, 95 % interval" if place == 0 else None)  # fmt: skip
        if (won := known.get(trial.trial)) is not None:
            axes.plot([won], [place], "D", color=GRAY, markerfacecolor="none", markersize=7,
                      label="score in the sweep" if place == 0 else None)  # fmt: skip
    axes.set_yticks(range(len(found.trials)), [f"trial {trial.trial}" for trial in found.trials])
    axes.set_ylim(len(found.trials) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.set_xlabel("validation accuracy")
    axes.grid(visible=True, axis="x")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    rows = ", ".join(f"trial {trial.trial} {described_mean(trial)}" for trial in found.trials)
    alt = f"Validation accuracy with {counted(len(found.seeds), 'further seed')}: {rows}."
    yield picture("confirmation", alt, figure)
