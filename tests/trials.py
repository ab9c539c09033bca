"""Trials that fail on purpose; workers import them from here."""

import os
import signal
from pathlib import Path
from typing import Any

from cifar_dist.cluster.trial import Trial
from cifar_dist.errors import StoreError
from cifar_dist.session import Session

RAISING, CRASHING, LOST = 3, 5, 6
"""Trials of the second sweep: one cannot open, one always dies, one dies once between epochs."""


class Noted(Trial):
    """Leaves a file named after each trial's process."""

    def _opened(self) -> Session:
        folder = Path(self._base.store) / "processes"
        folder.mkdir(exist_ok=True)
        (folder / f"{os.getpid()}-{self._number}").touch()
        return super()._opened()


class Failing(Noted):
    """Lets some trials fail in ways that the first sweep's did not."""

    def _opened(self) -> Session:
        session = super()._opened()
        if self._number == RAISING:
            raise StoreError("the bucket is gone; create it again")
        if self._number == CRASHING:
            os._exit(7)
        return session

    def _reported(self, *told: Any) -> dict[str, Any]:
        result = super()._reported(*told)
        marker = Path(self._base.store) / "lost"
        if self._number == LOST and not marker.exists():
            marker.touch()
            if self._session is not None:
                self._session.wait()  # the epoch is committed and was never told
            os.kill(os.getpid(), signal.SIGKILL)
        return result
