"""The numbers of one run or sweep, read as they are when somebody asks."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import NamedTuple

from cifar_dist.counts import BOUNDS_SECONDS, COUNTS, Totals
from cifar_dist.documents import EpochRecord
from cifar_dist.metrics.families import CHECKPOINT_SECONDS
from cifar_dist.metrics.pace import Pace
from cifar_dist.spending import Prices
from cifar_dist.standing import Standing


class Commits(NamedTuple):
    """Stored checkpoints by how long each took."""

    buckets: tuple[tuple[str, float], ...]
    """Upper bound and how many took no longer."""
    seconds: float


Value = float | Commits
Sample = tuple[str, tuple[str, ...], Value]
"""A family's name, the values of its labels beside `run`, and a value."""


class Meters:
    """The series of one run or sweep, from what it is told and what this process counts.

    Told by one thread, read by any.
    """

    def __init__(self, run: str, prices: Prices, closed: "Callable[[Meters], None]") -> None:
        self.run = run
        self._prices, self._closed, self._lock = prices, closed, Lock()
        self._began, self._base = time.time(), COUNTS.totals()
        self._standing: Standing | None = None
        self._pace: Pace | None = None

    def follow(self, standing: Standing) -> None:
        """Read a sweep's numbers there."""
        self._standing = standing

    def observe(self, step: int, total: int, history: Sequence[EpochRecord]) -> None:
        """Take note of where a run stands."""
        with self._lock:
            if self._pace is not None:
                self._pace.observe((step, total), history, COUNTS.workers)

    def expect(self, epochs: int, batch_size: int) -> None:
        """Say that a run begins, of so many epochs with batches of so many images."""
        with self._lock:
            self._pace = Pace(epochs, batch_size)

    def close(self) -> None:
        """Remove the series."""
        self._closed(self)

    def read(self) -> dict[str, list[tuple[tuple[str, ...], Value]]]:
        """Give the series that there are now, by the families' names."""
        found: dict[str, list[tuple[tuple[str, ...], Value]]] = {}
        for name, labels, value in self._samples():
            found.setdefault(name, []).append((labels, value))
        return found

    def _samples(self) -> Iterator[Sample]:
        totals = COUNTS.totals()
        yield from self._stored(totals)
        if self._standing is not None:
            yield from self._of_sweep(self._standing)
        elif self._pace is not None:
            with self._lock:
                yield from self._of_run(self._pace, totals)

    def _since(self, totals: Totals, name: str) -> float:
        return totals.amounts[name] - self._base.amounts[name]

    def _stored(self, totals: Totals) -> Iterator[Sample]:
        counts = [new - old for new, old in zip(totals.buckets, self._base.buckets, strict=True)]
        bounds = [*map(str, BOUNDS_SECONDS), "+Inf"]
        sums = tuple((bound, sum(counts[: i + 1])) for i, bound in enumerate(bounds))
        yield CHECKPOINT_SECONDS, (), Commits(sums, self._since(totals, "commit_seconds"))
        yield "checkpoint_bytes_total", (), self._since(totals, "commit_bytes")
        yield "checkpoint_failures_total", (), self._since(totals, "commit_failures")
        last = max(self._began, totals.last_commit or 0.0)
        yield "last_checkpoint_timestamp_seconds", (), last
        yield "upload_queue", (), float(totals.uploads)
        yield "upload_lag_seconds", (), totals.lag_seconds
        for name in ("storage_retries", "restarts", "preemptions", "diverged"):
            yield f"{name}_total", (), self._since(totals, name)

    def _of_sweep(self, standing: Standing) -> Iterator[Sample]:
        now = standing.reading()
        for state, count in now.trials.items():
            yield "trials", (state,), float(count)
        yield "trials_planned", (), float(now.planned)
        yield "slots", (), float(now.slots)
        for epoch, count in now.rung_trials.items():
            yield "rung_trials", (str(epoch),), float(count)
        yield "epochs_total", (), float(now.epochs)
        yield "images_total", (), float(round(now.images))
        yield "images_per_second", (), now.images_per_second
        yield "last_epoch_timestamp_seconds", (), now.last_epoch or self._began
        yield from _present("best_accuracy_ratio", now.best_accuracy)
        yield from _present("budget_used_ratio", now.budget_used)
        yield from _present("eta_seconds", now.eta_seconds)
        yield from _spent(now.worker_seconds)
        yield from self._cost(now.cpu_seconds, now.gpu_seconds)
        yield "sweep_gpu_seconds", (), now.sweep_gpu_seconds
        cost = self._prices.cost(now.sweep_cpu_seconds, now.sweep_gpu_seconds)
        yield from _present("sweep_cost", cost)

    def _of_run(self, pace: Pace, totals: Totals) -> Iterator[Sample]:
        yield "epochs_total", (), float(pace.epochs)
        yield "images_total", (), float(round(pace.images))
        yield "images_per_second", (), pace.images_per_second
        yield "epoch", (), float(len(pace.history))
        yield "last_epoch_timestamp_seconds", (), pace.last_epoch or self._began
        yield from _present("eta_seconds", pace.eta_seconds())
        if pace.history:
            last = pace.history[-1]
            yield from _present("train_loss", last.train_loss)
            yield from _present("validation_loss", last.validation_loss)
            yield from _present("validation_accuracy_ratio", last.validation_accuracy)
            yield "learning_rate", (), last.lr
        yield from _spent(pace.worker_seconds())
        cpus = totals.cpu_seconds - self._base.cpu_seconds
        yield from self._cost(cpus, totals.gpu_seconds - self._base.gpu_seconds)

    def _cost(self, cpu_seconds: float, gpu_seconds: float) -> Iterator[Sample]:
        yield "cpu_seconds_total", (), cpu_seconds
        yield "gpu_seconds_total", (), gpu_seconds
        yield from _present("cost_total", self._prices.cost(cpu_seconds, gpu_seconds))


def _present(name: str, value: float | None) -> Iterator[Sample]:
    if value is not None and math.isfinite(value):
        yield name, (), value


def _spent(seconds: dict[str, float]) -> Iterator[Sample]:
    for state, spent in seconds.items():
        yield "worker_seconds_total", (state,), spent
    if whole := sum(seconds.values()):
        yield "goodput_ratio", (), seconds["busy"] / whole
