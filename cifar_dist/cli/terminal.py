"""A terminal that follows a run or a sweep: lines and bars on stderr, Ctrl-C as a stop."""

from contextlib import AbstractContextManager, closing
from threading import Event

from cifar_dist.cli.interrupts import stop_on_interrupt
from cifar_dist.cli.output import SweepProgress, TrainingProgress, say


class Terminal:
    """Follows whatever it is given to, for people."""

    def note(self, message: str) -> None:
        """Print one line."""
        say(message)

    def stopping(self) -> AbstractContextManager[Event]:
        """Take Ctrl-C as the wish to stop."""
        return stop_on_interrupt()

    def run(self, epochs: int) -> AbstractContextManager[TrainingProgress]:
        """Show a line for each epoch."""
        return closing(TrainingProgress(epochs))

    def sweep(self) -> AbstractContextManager[SweepProgress]:
        """Show a line for each trial."""
        return closing(SweepProgress())
