"""An observer of a session that notes what it sees and may end it."""

from collections.abc import Sequence

from cifar_dist.documents import EpochRecord


class Watcher:
    """Notes what it sees and asks to stop at the nth tick."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.seen: list[tuple[int, int, int]] = []
        self._ticks_left = stop_at

    def observe(self, step: int, total: int, history: Sequence[EpochRecord]) -> None:
        """Take note."""
        self.seen.append((step, total, len(history)))

    def stop_requested(self) -> bool:
        """Count a tick."""
        if self._ticks_left is not None:
            self._ticks_left -= 1
        return self._ticks_left == 0
