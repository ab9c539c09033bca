"""Sweeps as their reports are given them: of the recorded runs, with rungs, slots and seeds."""

import math
import random
from functools import cache
from typing import Any

from cifar_dist.config import patched
from cifar_dist.documents import EpochRecord, Rung, SweepCost, TrialRow, TrialSpan, TuneDocument
from cifar_dist.search import Space, rank
from tests.recorded_sweep import SPACE, recorded
from tests.result_documents import facts, sweep_document
from tests.tiny import make_job

CLASSES = [f"class {number}" for number in range(10)]
_REDUCTION, _SLOTS = 3, 4
_BASE = {
    "recipe.optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
    "recipe.model.dropout": 0.1,
}


@cache
def recorded_sweep(trials: int, epochs: int = 9) -> TuneDocument:
    """Give a sweep over the recorded runs, pruned at rungs after epochs 1, 3 and 9."""
    job = make_job(recipe__epochs=epochs).model_dump(mode="json")
    asha = {"grace_epochs": 1, "reduction_factor": _REDUCTION}
    space = Space.parse(
        {"description": "d", "job": job, "trials": trials, "asha": asha, "space": SPACE}
    )
    rows, spans = _Replay(space, epochs).run(trials)
    best = rank(rows)[0]
    states = [row.state for row in rows]
    wall = max(span.end_seconds for span in spans)
    return sweep_document(
        sweep="recorded-0a1b2c3d",
        space=space.model_dump(mode="json", exclude={"job"}),
        job=job,
        data=facts(CLASSES).model_copy(update={"validation_images": 1000}),
        trials=rows,
        best=best.trial,
        best_job=patched(space.job, best.parameters).model_dump(mode="json"),
        finished=states.count("finished"),
        pruned=states.count("pruned"),
        failed=states.count("failed"),
        slots=_SLOTS,
        spans=tuple(spans),
        cost=SweepCost(
            wall_seconds=wall,
            cpu_seconds=wall * _SLOTS,
            gpu_seconds=0.0,
            epochs_run=sum(row.epochs for row in rows),
            epochs_without_pruning=epochs * trials,
        ),
    )


class _Replay:
    """ASHA over trials that are known beforehand, one after the other in the first free slot."""

    def __init__(self, space: Space, epochs: int) -> None:
        self.space, self.epochs, self.random = space, epochs, random.Random(0)
        self.told: dict[int, list[float]] = {3**n: [] for n in range(9) if 3**n < epochs}

    def run(self, trials: int) -> tuple[list[TrialRow], list[TrialSpan]]:
        rows, spans, free = [], [], [2.0] * _SLOTS
        for number in range(trials):
            rows.append(row := self._trial(number))
            slot = free.index(min(free))
            busy = (row.start_seconds or 0.0) + 1.1 * row.train_seconds
            spans.append(
                TrialSpan(trial=number, begin_seconds=free[slot], end_seconds=free[slot] + busy)
            )
            free[slot] += busy
        return rows, spans

    def _trial(self, number: int) -> TrialRow:
        overrides = self.space.proposal(number, 0)
        known = recorded(overrides or _BASE)
        is_lost = known[3] <= 0.1005
        history = [] if is_lost else self._history(known)
        best = max(history, key=lambda record: record.validation_accuracy or 0.0, default=None)
        state: Any = (
            "failed" if is_lost else "finished" if len(history) == self.epochs else "pruned"
        )
        reasons = {"failed": "diverged in epoch 1: its loss is not finite", "pruned": "stopped"}
        return TrialRow(
            trial=number,
            state=state,
            reason=reasons.get(state),
            parameters=overrides,
            epochs=len(history),
            best_epoch=best.epoch if best else None,
            validation_loss=best.validation_loss if best else None,
            validation_accuracy=best.validation_accuracy if best else None,
            rungs=[
                Rung(epoch=record.epoch, value=record.validation_accuracy or 0.0)
                for record in history
                if record.epoch in self.told
            ],
            history=history,
            start_seconds=self.random.uniform(0.1, 0.5),
            train_seconds=sum(record.seconds for record in history),
        )

    def _history(self, known: dict[int, float]) -> list[EpochRecord]:
        history: list[EpochRecord] = []
        for epoch in range(1, self.epochs + 1):
            later = 0.02 * math.log(max(epoch, 3) / 3)
            accuracy = known[min(epoch, 3)] + later + self.random.gauss(0, 0.005)
            history.append(_record(epoch, accuracy, self.random.uniform(1.8, 2.6)))
            if (told := self.told.get(epoch)) is not None:
                told.append(accuracy)
                cutoff = sorted(told)[-max(1, len(told) // _REDUCTION)]
                if accuracy < cutoff:
                    break
        return history


def _record(epoch: int, accuracy: float, seconds: float) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        train_loss=2.3 - 2 * accuracy,
        train_accuracy=accuracy,
        validation_loss=2.35 - 1.8 * accuracy,
        validation_accuracy=accuracy,
        lr=0.01,
        seconds=seconds,
        images_per_second=4000.0,
    )
