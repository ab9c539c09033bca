"""How fast one run goes, from the steps that its driver hears of."""

import time
from collections.abc import Sequence

from cifar_dist.documents import EpochRecord

_LONGEST_SECONDS = 60.0
"""Between two steps heard of, evaluation and storage included; what is longer is idle."""


class Pace:
    """The steps of a run and the seconds of its workers; for one thread at a time."""

    def __init__(self, epochs: int, batch_size: int) -> None:
        self.history: Sequence[EpochRecord] = ()
        self.epochs, self.images = 0, 0.0
        """Since the first step heard of; they stay where training goes back to a checkpoint."""
        self.last_epoch: float | None = None
        """Unix time; None if none ended here."""
        self._planned, self._batch_size, self._workers = epochs, batch_size, 1
        self._seconds = {"busy": 0.0, "idle": 0.0, "starting": 0.0}
        self._since = time.monotonic()
        self._step, self._total = -1, 0
        self._first: tuple[int, float] | None = None
        self._before = 0, 0.0

    def observe(self, place: tuple[int, int], history: Sequence[EpochRecord], workers: int) -> None:
        """Take note of step, total steps and epochs, heard of as often as one likes."""
        step, total = place
        if (step, len(history)) == (self._step, len(self.history)):
            return
        self._workers = max(self._workers, workers)
        self._seconds = self._spent(is_heard=True)
        self._since = time.monotonic()
        told = sum(record.images_per_second * record.seconds for record in history)
        into = step - len(history) * total / self._planned
        images = told + into * self._batch_size
        if self._first is None:
            self._first = step, self._since
            self._before = len(history), max(0.0, images - self._batch_size)
        elif len(history) > len(self.history):
            self.last_epoch = time.time()
        self._step, self._total, self.history = step, total, tuple(history)
        epochs_before, images_before = self._before
        self.epochs = max(self.epochs, len(history) - epochs_before)
        self.images = max(self.images, images - images_before)

    @property
    def images_per_second(self) -> float:
        """The last epoch's; 0 before its end."""
        return self.history[-1].images_per_second if self.history else 0.0

    def eta_seconds(self) -> float | None:
        """Give the seconds left at the pace since the first step heard of, None without one."""
        if self._first is None or self._step <= self._first[0]:
            return None
        first, began = self._first
        pace = (self._since - began) / (self._step - first)
        return max(0.0, (self._total - self._step) * pace - (time.monotonic() - self._since))

    def worker_seconds(self) -> dict[str, float]:
        """Give the seconds of all workers by state; a step's are busy ones once it is done."""
        return self._spent(is_heard=False)

    def _spent(self, *, is_heard: bool) -> dict[str, float]:
        gap, spent = time.monotonic() - self._since, dict(self._seconds)
        if self._first is None:
            spent["starting"] += gap * self._workers
            return spent
        spent["idle"] += max(0.0, gap - _LONGEST_SECONDS) * self._workers
        if is_heard:
            spent["busy"] += min(gap, _LONGEST_SECONDS) * self._workers
        return spent
