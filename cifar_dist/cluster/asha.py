"""Ray Tune's ASHA, which takes its decisions again from what it heard before a restart."""

from typing import Any, NamedTuple

from ray.tune.schedulers import TrialScheduler
from ray.tune.schedulers.async_hyperband import ASHAScheduler

from cifar_dist.search import Asha
from cifar_dist.tally import Tally


class _Known(NamedTuple):
    """A trial of the ledger, until Tune gives it an id of its own."""

    trial_id: str


class ReplayedAsha(ASHAScheduler):
    """Judges by validation accuracy at rungs of epochs; one bracket, so nothing is drawn."""

    def __init__(self, asha: Asha, epochs: int) -> None:
        super().__init__(
            time_attr="epoch",
            metric="validation_accuracy",
            mode="max",
            max_t=epochs,
            grace_period=min(asha.grace_epochs, epochs),
            reduction_factor=asha.reduction_factor,
        )

    def replay(self, tally: Tally) -> list[int]:
        """Judge again all that was heard; gives the unfinished trials that were to be stopped."""
        stopped: dict[int, int] = {}
        for number, epoch, value in tally.heard:
            decision = self._bracket.on_result(_known(number), epoch, value)
            if decision == TrialScheduler.STOP:
                stopped[number] = epoch
        # One that went on was let go on, whatever is decided now.
        return [
            number
            for number in tally.unfinished
            if number in stopped and tally.reached(number) <= stopped[number]
        ]

    def adopt(self, number: int, trial_id: str) -> None:
        """Know a trial of the ledger by Tune's new id, so that no rung judges it twice."""
        for _, recorded in self._bracket._rungs:
            if (known := _known(number).trial_id) in recorded:
                recorded[trial_id] = recorded.pop(known)

    @property
    def _bracket(self) -> Any:
        return self._brackets[0]


def _known(number: int) -> _Known:
    return _Known(f"ledger-{number}")
