"""Where a sweep stands in numbers, after each event of its ledger and at any time between two."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Reading:
    """Plain numbers of one moment, over all attempts of the sweep."""

    trials: dict[str, int]
    """By state: waiting, running, finished, pruned, failed."""
    planned: int
    slots: int
    rung_trials: dict[int, int]
    """By the rungs' epochs: trials that were decided about there."""
    best_accuracy: float | None
    epochs: int
    images: float
    images_per_second: float
    """Of the trials that run, each as of its last epoch."""
    worker_seconds: dict[str, float]
    """Of the slots, by state: busy, idle, starting."""
    cpu_seconds: float
    gpu_seconds: float
    last_epoch: float | None
    """Unix time at which an epoch was heard of last in this attempt."""
    eta_seconds: float | None
    budget_used: float | None
    attempts: int


@dataclass
class _Held:
    """A trial's slot."""

    settled: float
    """Up to when its seconds are added to those of a state."""
    is_started: bool = False
    told: bool = False
    images_per_second: float = 0.0


@dataclass
class _Sums:
    epochs: int = 0
    images: float = 0.0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    worker_seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("busy", "idle", "starting"), 0.0)
    )


class Standing:
    """Adds up a sweep's events, each in the same short time; one thread adds, any may read."""

    def __init__(self, planned: int, rungs: Iterable[int] = ()) -> None:
        self._lock, self._planned = Lock(), planned
        self._rung_trials = dict.fromkeys(rungs, 0)
        self._ended: dict[int, str] = {}
        self._states: Counter[str] = Counter()
        self._held: dict[int, _Held] = {}
        self._sums = _Sums()
        self._slots, self._reserved, self._attempts = 0, (0.0, 0.0), 0
        self._at, self._is_open = 0.0, False
        self._origin: float | None = None
        self._ended_before, self._opened_at = 0, 0.0
        self._last_epoch: float | None = None
        self._budget_seconds: int | None = None
        self._spent_before = 0.0
        self._best: float | None = None

    def replayed(self, events: Iterable[Event]) -> Iterator[Event]:
        """Add events of earlier attempts as they are read by somebody else."""
        for event in events:
            self.add(event)
            yield event

    def live(self, started: float, budget_seconds: int | None, spent_before: float) -> None:
        """Go on with this attempt, which began then by the monotonic clock.

        `spent_before` of the sweep's seconds do not count against its budget.
        """
        with self._lock:
            self._origin = started
            self._budget_seconds, self._spent_before = budget_seconds, spent_before

    def add(self, event: Event) -> None:
        """Take in the next event of the ledger."""
        with self._lock:
            if event["event"] == "open":
                self._settle_all()
                self._at, self._is_open = 0.0, False
            self._advance(event["at_seconds"])
            match event["event"]:
                case "open":
                    self._open(event)
                case "start":
                    self._start(event["trial"])
                case "epoch":
                    self._epoch(event)
                case "rung":
                    epoch = event["epoch"]
                    self._rung_trials[epoch] = self._rung_trials.get(epoch, 0) + 1
                case "end":
                    self._end(event)
                case "close":
                    self._settle_all()
                    self._is_open = False

    def started(self, number: int, start_seconds: float | None) -> None:
        """Note that a trial trains, so long after its slot was free."""
        with self._lock:
            self._advance(self._now())
            if (held := self._held.get(number)) is not None:
                self._settle(held, start_seconds)

    def lost(self, number: int) -> None:
        """Note that a trial lost its worker and starts again in the same slot."""
        with self._lock:
            self._advance(self._now())
            if (held := self._held.get(number)) is not None:
                self._settle(held, None if held.told else self._at)
                held.is_started, held.images_per_second = False, 0.0

    def reading(self) -> Reading:
        """Give where the sweep stands now."""
        with self._lock:
            self._advance(self._now())
            sums, running = self._sums, len(self._held)
            waiting = max(0, self._planned - len(self._ended) - running)
            states = {name: self._states[name] for name in ("finished", "pruned", "failed")}
            return Reading(
                trials={"waiting": waiting, "running": running, **states},
                planned=self._planned,
                slots=self._slots,
                rung_trials=dict(self._rung_trials),
                best_accuracy=self._best,
                epochs=sums.epochs,
                images=sums.images,
                images_per_second=sum(held.images_per_second for held in self._held.values()),
                worker_seconds=dict(sums.worker_seconds),
                cpu_seconds=sums.cpu_seconds,
                gpu_seconds=sums.gpu_seconds,
                last_epoch=self._last_epoch,
                eta_seconds=self._eta(),
                budget_used=self._budget_used(),
                attempts=self._attempts,
            )

    def _open(self, event: Event) -> None:
        self._reserved = float(event["cpus"]), float(event["gpus"])
        self._slots = event.get("slots") or self._slots
        self._is_open, self._attempts = True, self._attempts + 1
        self._ended_before, self._opened_at = len(self._ended), self._at

    def _start(self, number: int) -> None:
        if (state := self._ended.pop(number, None)) is not None:
            self._states[state] -= 1
        self._held[number] = _Held(self._at)

    def _epoch(self, event: Event) -> None:
        self._sums.epochs += 1
        self._sums.images += event["images_per_second"] * event["seconds"]
        if self._origin is not None:
            self._last_epoch = time.time()
        if (held := self._held.get(event["trial"])) is not None:
            held.told, held.images_per_second = True, event["images_per_second"]

    def _end(self, event: Event) -> None:
        number, state = event["trial"], event["state"]
        if (held := self._held.pop(number, None)) is not None:
            self._settle(held, (event.get("start_seconds") or 0.0) if held.told else self._at)
        self._ended[number] = state
        self._states[state] += 1
        accuracy = event["validation_accuracy"]
        if state != "failed" and accuracy is not None:
            self._best = max(self._best or 0.0, accuracy)

    def _settle_all(self) -> None:
        for held in self._held.values():
            self._settle(held, 0.0 if held.told else self._at)
        self._held.clear()

    def _settle(self, held: _Held, start_seconds: float | None) -> None:
        """Add a slot's seconds to its states; what came before its first step was its start."""
        seconds, worker = self._at - held.settled, self._sums.worker_seconds
        starting = 0.0
        if not held.is_started:
            starting = min(seconds, start_seconds or 0.0)
            held.is_started = True
        worker["starting"] += starting
        worker["busy"] += seconds - starting
        held.settled = self._at

    def _advance(self, at: float) -> None:
        seconds = max(0.0, at - self._at)
        self._at = max(self._at, at)
        self._sums.wall_seconds += seconds
        if self._is_open:
            held, (cpus, gpus) = len(self._held), self._reserved
            self._sums.worker_seconds["idle"] += max(0, self._slots - held) * seconds
            self._sums.cpu_seconds += cpus * held * seconds
            self._sums.gpu_seconds += gpus * held * seconds

    def _now(self) -> float:
        if self._origin is None or not self._is_open:
            return self._at
        return max(self._at, time.monotonic() - self._origin)

    def _eta(self) -> float | None:
        ended, spent = len(self._ended) - self._ended_before, self._at - self._opened_at
        return spent / ended * (self._planned - len(self._ended)) if ended > 0 else None

    def _budget_used(self) -> float | None:
        if not self._budget_seconds:
            return None
        return max(0.0, self._sums.wall_seconds - self._spent_before) / self._budget_seconds
