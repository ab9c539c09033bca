"""A terminal with meters: what it shows of a run or a sweep is also served to Prometheus."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from threading import Event
from typing import TYPE_CHECKING

from cifar_dist.cli.output import SweepProgress, TrainingProgress, say
from cifar_dist.cli.terminal import Terminal

if TYPE_CHECKING:
    from cifar_dist.api.follower import Follower
    from cifar_dist.config import Job, Placement
    from cifar_dist.documents import EpochRecord
    from cifar_dist.metrics import Board, Meters, Prices
    from cifar_dist.search import Space


@contextmanager
def following(metrics_port: int | None) -> "Iterator[Follower]":
    """Give who follows the work, serving its metrics meanwhile if a port is given.

    Raises ConfigError if that cannot be had.
    """
    if metrics_port is None:
        yield Terminal()
        return
    from cifar_dist.metrics import Board, Server

    board = Board()
    with Server(board.registry, metrics_port) as server:
        say(f"metrics: {server.url}")
        yield Metered(Terminal(), board)


class Metered:
    """Follows for people and for Prometheus."""

    def __init__(self, terminal: Terminal, board: "Board") -> None:
        self._terminal, self._board = terminal, board

    def note(self, message: str) -> None:
        """Print one line."""
        self._terminal.note(message)

    def stopping(self) -> AbstractContextManager[Event]:
        """Take Ctrl-C as the wish to stop."""
        return self._terminal.stopping()

    @contextmanager
    def run(self, name: str, job: "Job") -> "Iterator[_Run]":
        """Show and meter a run."""
        opened = self._board.open(name, _prices(job.placement))
        with closing(opened) as meters, self._terminal.run(name, job) as shown:
            meters.expect(job.recipe.epochs, job.recipe.batch_size)
            yield _Run(shown, meters)

    @contextmanager
    def sweep(self, name: str, space: "Space") -> "Iterator[_Sweep]":
        """Show and meter a sweep."""
        opened = self._board.open(name, _prices(space.job.placement))
        with closing(opened) as meters, self._terminal.sweep(name, space) as shown:
            yield _Sweep(shown, meters)


class _Run:
    def __init__(self, shown: TrainingProgress, meters: "Meters") -> None:
        self._shown, self._meters = shown, meters

    def observe(self, step: int, total: int, history: "Sequence[EpochRecord]") -> None:
        self._meters.observe(step, total, history)
        self._shown.observe(step, total, history)


class _Sweep:
    def __init__(self, shown: SweepProgress, meters: "Meters") -> None:
        self.follow, self.located = meters.follow, shown.located
        self.observe = shown.observe


def _prices(placement: "Placement") -> "Prices":
    from cifar_dist.metrics import Prices

    return Prices(placement.cpu_hour_price, placement.gpu_hour_price)
