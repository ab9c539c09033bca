"""Trials that fail on purpose; workers import them from here."""

import os
import signal
from pathlib import Path
from typing import Any

from cifar_dist.cluster import group
from cifar_dist.cluster.group import GroupTrial
from cifar_dist.cluster.trial import Trial
from cifar_dist.config import Job
from cifar_dist.errors import DataError
from cifar_dist.learner import Learner
from cifar_dist.session import Session

RAISING, BUGGY, CRASHING, LOST = 3, 4, 5, 6
"""Trials that cannot open, meet a bug, always die, and die once between or within epochs."""

_work = group._work


class Noted(Trial):
    """Leaves a file named after each trial's process."""

    def _opened(self) -> Session:
        folder = Path(self._base.store) / "processes"
        folder.mkdir(exist_ok=True)
        (folder / f"{os.getpid()}-{self._config['number']}").touch()
        return super()._opened()


class Failing(Noted):
    """Lets some trials fail in ways that the first sweep's did not."""

    def _opened(self) -> Session:
        session = super()._opened()
        _note(self._base, self._config["number"])
        if self._config["number"] == RAISING:
            raise DataError("the images are gone; bring them back")
        if self._config["number"] == BUGGY:
            raise KeyError("momentum")
        if self._config["number"] == CRASHING:
            os._exit(7)
        return session

    def _reported(self, *told: Any) -> dict[str, Any]:
        result = super()._reported(*told)
        marker = Path(self._base.store) / "lost"
        if self._config["number"] == LOST and not marker.exists():
            marker.touch()
            if self._session is not None:
                self._session.wait()  # the epoch is committed and was never told
            os.kill(os.getpid(), signal.SIGKILL)
        return result


class FailingGroup(GroupTrial):
    """Gives its workers the same failures, and loses rank 1 in the midst of an epoch."""

    def setup(self, config: dict[str, Any], spec: dict[str, Any] | None = None) -> None:
        """Begin the first trial, with workers that fail."""
        group._work = _failing_work
        super().setup(config, spec)


def _failing_work(given: dict[str, Any]) -> dict[str, Any]:
    real, advance = group.open_trial, Learner.advance

    def open_or_fail(sweep: Any, base: Job, config: dict[str, Any], *more: Any) -> Session:
        session = real(sweep, base, config, *more)
        _note(base, config["number"])
        if config["number"] == BUGGY:
            raise KeyError("momentum")
        marker = Path(base.store) / "lost"

        def advance_or_die(self: Learner, batch: Any) -> None:
            advance(self, batch)
            is_doomed = config["number"] == LOST and self.world.rank == 1
            if is_doomed and self.step == self.steps_per_epoch + 5 and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        Learner.advance = advance_or_die  # type: ignore[method-assign]
        return session

    group.open_trial = open_or_fail
    return _work(given)


def _note(base: Job, number: int) -> None:
    with (Path(base.store) / "opened").open("a") as file:
        file.write(f"{number} {os.getpid()}\n")
