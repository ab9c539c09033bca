"""Where a sweep stands in numbers, after each event of its ledger and at any time between two."""

import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol

from cifar_dist.spending import Allowance, Spent

Event = Mapping[str, Any]


class Earlier(Protocol):
    """What the attempts before came to; the tally of their events."""

    @property
    def ends(self) -> Mapping[int, Event]:
        """How trials ended."""

    @property
    def rungs(self) -> Mapping[int, Mapping[int, float]]:
        """By trial, epoch to value."""

    @property
    def wall_seconds(self) -> float:
        """How long they took."""

    @property
    def cpu_seconds(self) -> float:
        """What their trials had reserved."""

    @property
    def gpu_seconds(self) -> float:
        """What their trials had reserved."""


@dataclass(frozen=True)
class Reading:
    """Plain numbers of one moment: trials of the whole sweep, sums of this attempt alone."""

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
    """Of the slots that there were, by state: busy, idle, starting."""
    cpu_seconds: float
    gpu_seconds: float
    sweep_cpu_seconds: float
    """Over all attempts."""
    sweep_gpu_seconds: float
    """Over all attempts."""
    last_epoch: float | None
    """Unix time at which an epoch was heard of last."""
    eta_seconds: float | None
    budget_used: float | None


@dataclass
class _Held:
    """A trial's slot."""

    asked: float
    settled: float
    """Up to when its seconds are added to those of a state."""
    first_step: float = math.inf
    images_per_second: float = 0.0


@dataclass
class _Sums:
    epochs: int = 0
    images: float = 0.0
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    worker_seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("busy", "idle", "starting"), 0.0)
    )


class Standing:
    """Adds up one attempt's events, each in the same short time; one thread adds, any may read.

    A trial costs from when it has its worker: a machine that never came costs nothing, and only
    slots that were held together so far can be idle.
    """

    def __init__(
        self, planned: int, rungs: Iterable[int] = (), earlier: Earlier | None = None
    ) -> None:
        self._lock, self._planned = Lock(), planned
        self._rung_trials = Counter(dict.fromkeys(rungs, 0))
        self._ended: dict[int, str] = {}
        self._states: Counter[str] = Counter()
        self._best: float | None = None
        self._wall_before = 0.0
        self._spent_before = 0.0, 0.0
        if earlier is not None:
            self._take_in(earlier)
        self._asked: dict[int, float] = {}
        self._held: dict[int, _Held] = {}
        self._most = 0
        self._sums = _Sums()
        self._slots, self._reserved = 0, (0.0, 0.0)
        self._at, self._is_open = 0.0, False
        self._origin: float | None = None
        self._ended_before, self._opened_at = 0, 0.0
        self._last_epoch: float | None = None
        self._allowance = Allowance()

    def live(self, started: float) -> None:
        """Go by the monotonic clock from now on, by which this attempt began then."""
        with self._lock:
            self._origin = started

    def allow(self, allowance: Allowance) -> None:
        """Compare from now on with what may be spent."""
        with self._lock:
            self._allowance = allowance

    def exhausted(self) -> str | None:
        """Say which part of the budget was spent, if any; what trials hold now counts."""
        with self._lock:
            self._advance(self._now())
            return self._allowance.exhausted(self._spent())

    def add(self, event: Event) -> None:
        """Take in the next event of the ledger."""
        with self._lock:
            self._advance(event["at_seconds"])
            match event["event"]:
                case "open":
                    self._open(event)
                case "start":
                    self._start(event["trial"])
                case "epoch":
                    self._epoch(event)
                case "rung":
                    self._rung_trials[event["epoch"]] += 1
                case "end":
                    self._end(event)
                case "close":
                    self._close()

    def placed(self, number: int) -> None:
        """Note that a trial that was asked for has its worker, once more if it lost one."""
        with self._lock:
            self._advance(self._now())
            self._held[number] = _Held(self._asked.get(number, self._at), self._at)
            self._most = max(self._most, len(self._held))

    def started(self, number: int, start_seconds: float | None) -> None:
        """Note that a trial trains, so long after it was asked for; None if it does not yet."""
        with self._lock:
            self._advance(self._now())
            if (held := self._held.get(number)) is not None:
                if start_seconds is not None:
                    held.first_step = held.asked + start_seconds
                self._settle(held)

    def lost(self, number: int) -> None:
        """Note that a trial lost its worker."""
        with self._lock:
            self._advance(self._now())
            if (held := self._held.pop(number, None)) is not None:
                self._settle(held)

    def reading(self) -> Reading:
        """Give where the sweep stands now."""
        with self._lock:
            self._advance(self._now())
            sums, running = self._sums, len(self._held)
            waiting = max(0, self._planned - len(self._ended) - running)
            states = {name: self._states[name] for name in ("finished", "pruned", "failed")}
            cpus, gpus = self._spent_before
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
                sweep_cpu_seconds=cpus + sums.cpu_seconds,
                sweep_gpu_seconds=gpus + sums.gpu_seconds,
                last_epoch=self._last_epoch,
                eta_seconds=self._eta(),
                budget_used=self._allowance.used(self._spent()),
            )

    def _take_in(self, earlier: Earlier) -> None:
        for number, end in earlier.ends.items():
            self._note_end(number, end)
        for decided in earlier.rungs.values():
            self._rung_trials.update(decided.keys())
        self._wall_before = earlier.wall_seconds
        self._spent_before = earlier.cpu_seconds, earlier.gpu_seconds

    def _open(self, event: Event) -> None:
        self._reserved = float(event["cpus"]), float(event["gpus"])
        self._slots = event.get("slots") or self._slots
        self._is_open = True
        self._ended_before, self._opened_at = len(self._ended), self._at

    def _start(self, number: int) -> None:
        if (state := self._ended.pop(number, None)) is not None:
            self._states[state] -= 1
        self._asked[number] = self._at

    def _epoch(self, event: Event) -> None:
        self._sums.epochs += 1
        self._sums.images += event["images_per_second"] * event["seconds"]
        if self._origin is not None:
            self._last_epoch = time.time()
        if (held := self._held.get(event["trial"])) is not None:
            held.images_per_second = event["images_per_second"]

    def _end(self, event: Event) -> None:
        number = event["trial"]
        self._asked.pop(number, None)
        if (held := self._held.pop(number, None)) is not None:
            self._settle(held)
        self._note_end(number, event)

    def _note_end(self, number: int, event: Event) -> None:
        state, accuracy = event["state"], event["validation_accuracy"]
        self._ended[number] = state
        self._states[state] += 1
        if state != "failed" and accuracy is not None:
            self._best = max(self._best or 0.0, accuracy)

    def _close(self) -> None:
        for held in self._held.values():
            self._settle(held)
        self._held.clear()
        self._is_open = False

    def _settle(self, held: _Held) -> None:
        """Add a slot's seconds to its states; what came before its first step was its start."""
        seconds, worker = self._at - held.settled, self._sums.worker_seconds
        starting = min(seconds, max(0.0, held.first_step - held.settled))
        worker["starting"] += starting
        worker["busy"] += seconds - starting
        held.settled = self._at

    def _advance(self, at: float) -> None:
        seconds = max(0.0, at - self._at)
        self._at = max(self._at, at)
        if self._is_open:
            held, (cpus, gpus) = len(self._held), self._reserved
            self._sums.worker_seconds["idle"] += (self._most - held) * seconds
            self._sums.cpu_seconds += cpus * held * seconds
            self._sums.gpu_seconds += gpus * held * seconds

    def _now(self) -> float:
        if self._origin is None or not self._is_open:
            return self._at
        return max(self._at, time.monotonic() - self._origin)

    def _eta(self) -> float | None:
        ended, spent = len(self._ended) - self._ended_before, self._at - self._opened_at
        return spent / ended * (self._planned - len(self._ended)) if ended > 0 else None

    def _spent(self) -> Spent:
        cpus, gpus = self._spent_before
        sums = self._sums
        return Spent(self._wall_before + self._at, cpus + sums.cpu_seconds, gpus + sums.gpu_seconds)
