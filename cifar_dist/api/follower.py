"""Who is told how a run or a sweep goes, and may ask it to end."""

from contextlib import AbstractContextManager
from threading import Event
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cifar_dist.cluster.book import SweepProgress
    from cifar_dist.cluster.train import Progress
    from cifar_dist.config import Job
    from cifar_dist.search import Space


class Follower(Protocol):
    """The caller's side of a run or a sweep: a terminal, a notebook or nobody."""

    def note(self, message: str) -> None:
        """Tell one line, such as where a run lies."""

    def stopping(self) -> "AbstractContextManager[Event]":
        """Give an event that asks for a committed end; while it is held, Ctrl-C sets it."""

    def run(self, name: str, job: "Job") -> "AbstractContextManager[Progress]":
        """Show the run of a job as it goes."""

    def sweep(self, name: str, space: "Space") -> "AbstractContextManager[SweepProgress]":
        """Show the sweep of a space as it goes."""
