"""Ray Tune's ASHA, which takes its decisions again from what it heard before a restart."""

from typing import Any, NamedTuple

from ray.tune.schedulers import TrialScheduler
from ray.tune.schedulers.async_hyperband import ASHAScheduler

from cifar_dist.search import Rungs
from cifar_dist.tally import Tally


class _Known(NamedTuple):
    """A trial of the ledger, until Tune gives it an id of its own."""

    trial_id: str


class ReplayedAsha(ASHAScheduler):
    """Judges by validation accuracy at rungs of epochs; a trial's bracket is not drawn by Ray.

    An epoch is one of its training: where trials are trained anew, that of a longer training does
    not count at a rung that was passed, so epochs may begin again at 1.
    """

    def __init__(self, rungs: Rungs) -> None:
        if (asha := rungs.asha) is None:
            raise ValueError("a sweep without ASHA has no scheduler")
        super().__init__(
            time_attr="epoch",
            metric="validation_accuracy",
            mode="max",
            max_t=rungs.epochs,
            grace_period=min(asha.grace_epochs, rungs.epochs),
            reduction_factor=asha.reduction_factor,
            brackets=asha.brackets,
        )
        self._rungs = rungs

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Put a trial into the bracket of its number."""
        self._trial_info[trial.trial_id] = self._bracket(trial.config["number"])

    def replay(self, tally: Tally) -> list[int]:
        """Judge again all that was heard; gives the unfinished trials that were to be stopped."""
        stopped: dict[int, int] = {}
        for number, epoch, value in tally.heard:
            decision = self._bracket(number).on_result(_known(number), epoch, value)
            if decision == TrialScheduler.STOP:
                stopped[number] = epoch
        # One that went on was let go on, whatever is decided now.
        return [
            number
            for number in tally.unfinished
            if number in stopped and tally.stands_at(number, stopped[number])
        ]

    def adopt(self, number: int, trial_id: str) -> None:
        """Know a trial of the ledger by Tune's new id, so that no rung judges it twice."""
        for _, recorded in self._bracket(number)._rungs:
            if (known := _known(number).trial_id) in recorded:
                recorded[trial_id] = recorded.pop(known)

    def _bracket(self, number: int) -> Any:
        return self._brackets[self._rungs.bracket(number)]


def _known(number: int) -> _Known:
    return _Known(f"ledger-{number}")
