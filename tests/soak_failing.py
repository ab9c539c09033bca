"""The program with a failure in it: one training process raises or ends at a given step, once."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_dist.cli import main
from cifar_dist.learner import Learner

VARIABLE = "CIFAR_DIST_SOAK_FAILURE"
"""Holds kind:step:marker; the marker is a file that is made when the failure comes."""


@dataclass(frozen=True)
class Failure:
    """What happens to the last rank after a step, unless it has happened before."""

    kind: str
    step: int
    marker: Path

    def installed(self, work: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Give a worker's part with the failure in it."""

        def failing(given: Any) -> Any:
            self.install()
            return work(given)

        return failing

    def install(self) -> None:
        """Let it happen in this process."""
        advance = Learner.advance

        def advance_or_fail(learner: Learner, batch: Any) -> None:
            advance(learner, batch)
            last = learner.world.size - 1
            if learner.world.rank == last and learner.step == self.step:
                self._happen()

        Learner.advance = advance_or_fail  # type: ignore[method-assign]

    def _happen(self) -> None:
        try:
            self.marker.touch(exist_ok=False)
        except FileExistsError:
            return
        if self.kind == "raise":
            raise RuntimeError("a cosmic ray")
        if self.kind == "exit":
            os._exit(1)
        os.kill(os.getpid(), signal.Signals[self.kind])


if __name__ == "__main__":
    from cifar_dist.cluster import train as training
    from tests.soak_failing import Failure as Failing  # workers import it by this name

    kind, step, marker = os.environ[VARIABLE].split(":")
    failure = Failing(kind, int(step), Path(marker))
    failure.install()
    training._work = failure.installed(training._work)
    main()
