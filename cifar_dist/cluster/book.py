"""What the driver knows of a sweep's trials: kept in the ledger, shown as it happens."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ray import tune

from cifar_dist.cluster.failures import reason
from cifar_dist.cluster.trainings import judged
from cifar_dist.counts import COUNTS
from cifar_dist.documents import TrialRow, TrialState, best_epoch
from cifar_dist.errors import CifarDistError, StoreError
from cifar_dist.runs import Ledger
from cifar_dist.search import Rungs
from cifar_dist.standing import Standing
from cifar_dist.tally import Tally


class SweepProgress(Protocol):
    """Who shows how a sweep goes."""

    def located(self, dashboard: str | None) -> None:
        """Show where the cluster's dashboard is."""

    def follow(self, standing: Standing) -> None:
        """Read whenever it likes where the sweep stands."""

    def observe(self, rows: Sequence[TrialRow], running: int, total: int) -> None:
        """Show the trials that ended, newest last, and how many are running of how many.

        The rows are brief: without their epochs.
        """


class Book(tune.Callback):
    """Hears every result on the driver and writes the ledger; begins with what that holds."""

    def __init__(self, total: int, rungs: Rungs, ledger: Ledger, progress: SweepProgress) -> None:
        self.total, self._rungs = total, rungs
        self._ledger, self.progress = ledger, progress
        self.tally = Tally(ledger.replay())
        self.tally.settle()
        self.tally.reopen()  # if the budget is still spent, they are ended again
        self.standing = Standing(total, rungs.all, self.tally)
        self.waiting = deque(self.tally.unfinished)
        """Trials that an earlier attempt left unfinished and this one did not take up yet."""
        self.interrupted = False
        self.ended_by: str | None = None
        """Why trials that were still running ended, if not by ASHA."""
        self.error: CifarDistError | None = None
        """What the ledger raised; Tune would tell it as a text of its own."""
        self._rows = [self.tally.row(number, in_brief=True) for number in self.tally.ends]
        self._running: set[int] = set()
        self._recovered: set[int] = set()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        # Tune writes its callbacks down to restore a sweep from them; we restore from the ledger.
        return tune.Callback, ()

    @property
    def asked(self) -> int:
        """How many trials were asked for."""
        return len(self.tally.overrides)

    @property
    def ended(self) -> int:
        """How many of them ended."""
        return len(self.tally.ends)

    @property
    def open(self) -> int:
        """How many of them hold a slot or wait for it: neither ended nor left by an attempt."""
        return self.asked - self.ended - len(self.waiting)

    def open_attempt(self, reserved: Mapping[str, float], slots: int) -> None:
        """Note that this attempt begins, what each trial reserves and how many run at once."""
        cpus, gpus = reserved.get("CPU", 0.0), reserved.get("GPU", 0.0)
        self._told(self._ledger.open, cpus=cpus, gpus=gpus, slots=slots)

    def begin(self, number: int, overrides: dict[str, Any]) -> None:
        """Store what makes a trial, before anything of it exists; later epochs build on it."""
        self._note("start", number, overrides=overrides)
        self._ledger.flush()

    def prune(self, number: int) -> None:
        """End a trial that ASHA had decided to stop when its driver was killed."""
        self.waiting.remove(number)
        rung, value = max(self.tally.rungs[number].items())
        self._close(number, "pruned", why=_pruned(value, rung))

    def close(self) -> None:
        """End what the budget cut short, and store the events not stored yet."""
        for number in self.tally.unfinished:
            if self.ended_by and self.tally.reached(number) and not self.interrupted:
                self._close(number, "pruned", why=self.ended_by)
        self._told(self._ledger.add, "close")

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note that a trial has its worker."""
        self._running.add(trial.config["number"])
        self.standing.placed(trial.config["number"])

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Note one epoch, or all up to where a trial goes on whose worker or driver was lost."""
        number = trial.config["number"]
        self.standing.started(number, result["start_seconds"])
        training = result.get("training")
        for record in result["records"]:
            epoch = record["epoch"]
            told = record if training is None else {**record, "training": training}
            if self.tally.is_new(number, told):
                self._note("epoch", number, **told)
            # ASHA hears of a failure only as its end, whatever its last epoch came to.
            if result["state"] != "failed" and training in {None, epoch}:
                self._note_rung(number, epoch, training)

    def _note_rung(self, number: int, epoch: int, training: int | None) -> None:
        # What is decided is decided, even if the epoch should come out otherwise again.
        if epoch in self._rungs.of(number) and epoch not in self.tally.rungs[number]:
            value = judged(self.tally.history(number)[:epoch], training)
            self._note("rung", number, epoch=epoch, value=value)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note that a trial's worker was lost; it starts again, from its newest checkpoint."""
        self._running.discard(trial.config["number"])
        self._recovered.add(trial.config["number"])
        self.standing.lost(trial.config["number"])
        COUNTS.add("restarts")

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note how a trial ended."""
        last = trial.last_result or {}
        state, why = last.get("state", "failed"), last.get("reason")
        if state == "interrupted" and not self.interrupted and self.ended_by is None:
            self.error = self.error or StoreError(why or "a trial lost its storage")
        if state == "interrupted" or (state == "running" and self.interrupted):
            return
        if state == "running":
            state = "pruned"
            why = self.ended_by or _pruned(last["validation_accuracy"], last["epoch"])
        # ASHA heard of a failure, too: as of the worst accuracy.
        failed = state == "failed" and "epoch" in last
        heard = (last["epoch"], last["validation_accuracy"]) if failed else None
        start_seconds = last.get("start_seconds")
        self._close(
            trial.config["number"], state, why=why, heard=heard, start_seconds=start_seconds
        )

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note a trial whose worker died more often than it may."""
        error = trial.get_pickled_error()
        why = reason(error) if error else "its worker died"
        self._close(trial.config["number"], "failed", why=why)

    def _close(
        self,
        number: int,
        state: TrialState,
        *,
        why: str | None,
        heard: tuple[int, float] | None = None,
        start_seconds: float | None = None,
    ) -> None:
        self._running.discard(number)
        history = self.tally.history(number)
        best = history[best_epoch(history) - 1] if history and state != "failed" else None
        self._note(
            "end",
            number,
            state=state,
            reason=why,
            epochs=len(history),
            best_epoch=best.epoch if best else None,
            validation_loss=best.validation_loss if best else None,
            validation_accuracy=best.validation_accuracy if best else None,
            start_seconds=None if number in self._recovered else start_seconds,
            train_seconds=sum((r.seconds for r in history), self.tally.replaced(number)[1]),
            heard=heard,
            # A larger budget lets it go on.
            **({"cut": True} if why and why == self.ended_by else {}),
        )
        self._rows.append(self.tally.row(number, in_brief=True))
        self.progress.observe(self._rows, len(self._running), self.total)

    def _note(self, event: str, number: int, **facts: Any) -> None:
        self._told(self._ledger.add, event, number, **facts)

    def _told(self, tell: Any, *what: Any, **facts: Any) -> None:
        if self.error is not None:
            raise self.error
        try:
            event = tell(*what, **facts)
        except CifarDistError as error:
            self.error = error
            raise
        self.tally.add(event)
        self.standing.add(event)


def _pruned(accuracy: float, epoch: int) -> str:
    return f"stopped by ASHA with {accuracy:.2%} after epoch {epoch}"
