"""What the driver knows of a sweep's trials: kept in the ledger, shown as it happens."""

import time
from collections.abc import Sequence
from typing import Any, Protocol

from ray import tune

from cifar_dist.cluster.failures import reason
from cifar_dist.documents import EpochRecord, Rung, TrialRow, TrialState, best_epoch
from cifar_dist.errors import CifarDistError
from cifar_dist.runs import Ledger
from cifar_dist.search import Observation
from cifar_dist.sweep import Seen


class SweepProgress(Protocol):
    """Who shows how a sweep goes."""

    def located(self, dashboard: str | None) -> None:
        """Show where the cluster's dashboard is."""

    def observe(self, rows: Sequence[TrialRow], running: int, total: int) -> None:
        """Show the trials that ended, newest last, and how many are running of how many."""


class Book(tune.Callback):
    """Hears every result on the driver, writes the ledger and keeps a row per ended trial."""

    def __init__(
        self, total: int, rungs: Sequence[int], ledger: Ledger, progress: SweepProgress
    ) -> None:
        self._total, self._rungs = total, rungs
        self._ledger, self._progress = ledger, progress
        self.rows: dict[int, TrialRow] = {}
        self.busy_seconds = 0.0
        self.interrupted = False
        self.ended_by: str | None = None
        """Why trials that were still running ended, if not by ASHA."""
        self.error: CifarDistError | None = None
        """What the ledger raised; Tune would tell it as a text of its own."""
        self._seen = Seen()
        self._overrides: dict[int, dict[str, Any]] = {}
        self._histories: dict[int, list[EpochRecord]] = {}
        self._since: dict[int, float] = {}
        """When the trials that run now began."""
        self._recovered: set[int] = set()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        # Tune writes its callbacks down to restore a sweep from them; we restore from the ledger.
        return tune.Callback, ()

    @property
    def asked(self) -> int:
        """How many trials were asked for."""
        return len(self._overrides)

    @property
    def open(self) -> int:
        """How many of them have not ended."""
        return self.asked - len(self.rows)

    @property
    def seen(self) -> list[Observation]:
        """What is known of every trial that was asked for, in that order."""
        return self._seen.observations

    def begin(self, number: int, overrides: dict[str, Any]) -> None:
        """Store what makes a trial, before anything of it exists; later epochs build on it."""
        self._overrides[number], self._histories[number] = overrides, []
        self._note("start", number, overrides=overrides)
        self._ledger.flush()

    def close(self) -> None:
        """End what the budget cut short, and store the events not stored yet."""
        for number in list(self._since):
            if self.ended_by and self._histories[number] and not self.interrupted:
                self._close(number, "pruned", self.ended_by, None)
        self._ledger.flush()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note the start of a trial."""
        self._since[trial.config["number"]] = time.monotonic()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Note one epoch, or all up to where a trial goes on whose worker was lost."""
        number = trial.config["number"]
        for record in map(EpochRecord.model_validate, result["records"]):
            history = self._histories[number]
            history[record.epoch - 1 :] = [record]
            self._note("epoch", number, **record.model_dump(mode="json"))
            if record.epoch in self._rungs:
                value = record.validation_accuracy or 0.0
                self._note("rung", number, epoch=record.epoch, value=value)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note that a trial's worker was lost; it starts again, from its newest checkpoint."""
        self._leave(trial.config["number"])
        self._recovered.add(trial.config["number"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note how a trial ended."""
        last = trial.last_result or {}
        state, why = last.get("state", "failed"), last.get("reason")
        if state == "interrupted" or (state == "running" and self.interrupted):
            return
        if state == "running":
            state, why = "pruned", self.ended_by or _pruned(last)
        self._close(trial.config["number"], state, why, last.get("start_seconds"))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note a trial whose worker died more often than it may."""
        error = trial.get_pickled_error()
        why = reason(error) if error else "its worker died"
        self._close(trial.config["number"], "failed", why, None)

    def _close(
        self, number: int, state: TrialState, why: str | None, start_seconds: float | None
    ) -> None:
        self._leave(number)
        history = self._histories[number]
        best = history[best_epoch(history) - 1] if history and state != "failed" else None
        row = TrialRow(
            trial=number,
            state=state,
            reason=why,
            parameters=self._overrides[number],
            epochs=len(history),
            best_epoch=best.epoch if best else None,
            validation_loss=best.validation_loss if best else None,
            validation_accuracy=best.validation_accuracy if best else None,
            rungs=[
                Rung(epoch=r.epoch, value=r.validation_accuracy or 0.0)
                for r in history
                if r.epoch in self._rungs
            ],
            history=history,
            start_seconds=None if number in self._recovered else start_seconds,
            train_seconds=sum(record.seconds for record in history),
        )
        self.rows[number] = row
        ended = row.model_dump(mode="json", exclude={"history", "rungs", "parameters", "trial"})
        self._note("end", number, **ended)
        self._progress.observe(list(self.rows.values()), len(self._since), self._total)

    def _note(self, event: str, number: int, **facts: Any) -> None:
        try:
            self._ledger.add(event, number, **facts)
        except CifarDistError as error:
            self.error = error
            raise
        self._seen.add({"event": event, "trial": number, **facts})

    def _leave(self, number: int) -> None:
        now = time.monotonic()
        self.busy_seconds += now - self._since.pop(number, now)


def _pruned(last: dict[str, Any]) -> str:
    accuracy, epoch = last["validation_accuracy"], last["epoch"]
    return f"stopped by ASHA with {accuracy:.2%} after epoch {epoch}"
