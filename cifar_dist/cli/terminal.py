"""A terminal that follows a run or a sweep: lines and bars on stderr, Ctrl-C as a stop."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from threading import Event
from typing import TYPE_CHECKING

from cifar_dist.cli.interrupts import stop_on_interrupt
from cifar_dist.cli.output import SweepProgress, TrainingProgress, say
from cifar_dist.logs import about

if TYPE_CHECKING:
    from cifar_dist.config import Job
    from cifar_dist.search import Space


class Terminal:
    """Follows whatever it is given to, for people."""

    def note(self, message: str) -> None:
        """Print one line."""
        say(message)

    def stopping(self) -> AbstractContextManager[Event]:
        """Take Ctrl-C as the wish to stop."""
        return stop_on_interrupt()

    @contextmanager
    def run(self, name: str, job: "Job") -> Iterator[TrainingProgress]:
        """Show a line for each epoch."""
        with about(name), closing(TrainingProgress(job.recipe.epochs)) as progress:
            yield progress

    @contextmanager
    def sweep(self, name: str, space: "Space") -> Iterator[SweepProgress]:
        """Show a line for each trial."""
        with about(name), closing(SweepProgress()) as progress:
            yield progress
