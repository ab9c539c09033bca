"""Where a sweep cut its trials: every rung with those that went on and those that were pruned."""

from collections.abc import Sequence
from dataclasses import dataclass

from cifar_dist.documents import TuneDocument


@dataclass(frozen=True)
class RungRow:
    """One rung; `cut` lists the numbers of the trials that ended at it.

    What a pruned trial would have come to was never measured, so that only pairs of trials that
    both finished tell how often the order at the rung was not that of the end.
    """

    epoch: int
    reached: int
    went_on: int
    cut: list[int]
    lowest: float
    highest: float
    pairs: int
    """Pairs of finished trials with different values here and scores at the end."""
    overtaken: int
    """Pairs of which the one that was behind here was ahead at the end."""
    winner_place: int | None
    """Of the winner among those that reached the rung, from 1."""


def rungs(document: TuneDocument) -> list[RungRow]:
    """Sum up each rung that a trial reached; a pruned trial was cut at its last one."""
    values: dict[int, list[float]] = {}
    cut: dict[int, list[int]] = {}
    for trial in document.trials:
        for rung in trial.rungs:
            values.setdefault(rung.epoch, []).append(rung.value)
        if trial.state == "pruned" and trial.rungs:
            last = max(rung.epoch for rung in trial.rungs)
            cut.setdefault(last, []).append(trial.trial)
    return [
        RungRow(
            epoch=epoch,
            reached=len(reached),
            went_on=len(reached) - len(cut.get(epoch, [])),
            cut=cut.get(epoch, []),
            lowest=min(reached),
            highest=max(reached),
            winner_place=_place(document, epoch, reached),
            **_changes(document, epoch),
        )
        for epoch, reached in sorted(values.items())
    ]


def _place(document: TuneDocument, epoch: int, reached: Sequence[float]) -> int | None:
    trials = (trial for trial in document.trials if trial.trial == document.best)
    found = [rung.value for trial in trials for rung in trial.rungs if rung.epoch == epoch]
    return 1 + sum(value > found[0] for value in reached) if found else None


def _changes(document: TuneDocument, epoch: int) -> dict[str, int]:
    import numpy as np

    ends = [
        (rung.value, trial.validation_accuracy)
        for trial in document.trials
        if trial.state == "finished" and trial.validation_accuracy is not None
        for rung in trial.rungs
        if rung.epoch == epoch
    ]
    then, last = np.array(ends).reshape(-1, 2).T
    kept = overtaken = 0
    for value, score in ends:
        kept += int(((then < value) & (last < score)).sum())
        overtaken += int(((then < value) & (last > score)).sum())
    return {"pairs": kept + overtaken, "overtaken": overtaken}
