"""Observers: of a session, noting what it sees and perhaps ending it; of a sweep, silent."""

from collections.abc import Sequence

from cifar_dist.documents import EpochRecord, TrialRow
from cifar_dist.standing import Standing


class Watcher:
    """Notes what it sees and asks to stop at the nth tick."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.seen: list[tuple[int, int, int]] = []
        self._ticks_left = stop_at
        self.left: float | None = None

    def observe(self, step: int, total: int, history: Sequence[EpochRecord]) -> None:
        """Take note."""
        self.seen.append((step, total, len(history)))

    def stop_requested(self) -> bool:
        """Count a tick."""
        if self._ticks_left is not None:
            self._ticks_left -= 1
        return self._ticks_left == 0

    def seconds_left(self) -> float | None:
        """Give what a test sets."""
        return self.left


class Silent:
    """Hears how a sweep goes and says nothing."""

    def located(self, dashboard: str | None) -> None:
        """Show nothing."""

    def follow(self, standing: Standing) -> None:
        """Read nothing."""

    def observe(self, rows: Sequence[TrialRow], running: int, total: int) -> None:
        """Show nothing."""
