"""How long a cluster that does not answer is waited for, and what is told of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from cifar_dist.errors import RunError
from cifar_dist.submission.door import ForbiddenError, UnreachableError

_AWAY_SECONDS = 3600.0
_REFUSED_SECONDS = 300.0


@dataclass
class Patience:
    """One outage after another of whatever shows a job."""

    name: str
    """The job's."""
    tell: Callable[[str], None]
    away_since: float | None = None
    """When the cluster stopped answering."""
    has_seen: bool = False

    def bear(self, error: RunError | ForbiddenError) -> None:
        """Pass over an error, but not for ever; raises it, or UnreachableError after an hour.

        A server that starts refuses those whom it will know later.
        """
        is_silent = isinstance(error, UnreachableError)
        if not (is_silent or self.has_seen):
            raise error
        now = time.monotonic()
        if self.away_since is None:
            self.away_since = now
            self.tell("the cluster does not answer; the job is not touched by that, waiting for it")
        elif not is_silent and now - self.away_since > _REFUSED_SECONDS:
            raise error
        elif now - self.away_since > _AWAY_SECONDS:
            raise UnreachableError(
                f"the cluster did not answer for an hour; later `submit status {self.name}` tells "
                "how the job went on"
            )

    def answered(self) -> None:
        """Begin anew, now that the cluster answers."""
        self.has_seen = True
        if self.away_since is not None:
            self.away_since = None
            self.tell("the cluster answers again")
