"""Where a sweep cut its trials: every rung with those that went on and those that were pruned."""

from dataclasses import dataclass

from cifar_dist.documents import TuneDocument


@dataclass(frozen=True)
class RungRow:
    """One rung; `cut` lists the numbers of the trials that ended at it."""

    epoch: int
    reached: int
    went_on: int
    cut: list[int]
    lowest: float
    highest: float


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
        )
        for epoch, reached in sorted(values.items())
    ]
