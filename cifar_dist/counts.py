"""What this process did, in plain numbers that only grow; workers tell theirs to the driver."""

import time
import uuid
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

BOUNDS_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds of the classes that the seconds of commits are counted in; one more is open."""

_BUCKETS = tuple(f"commits_{index}" for index in range(len(BOUNDS_SECONDS) + 1))
NAMES = (
    "commit_seconds", "commit_bytes", "commit_failures", "storage_retries", "restarts",
    "diverged", *_BUCKETS,
)  # fmt: skip
_SOURCES = 16_384  # other processes whose last word is kept: more than ever work at once
_PRESENT_SECONDS = 300.0  # after which a silent process has no uploads any more

Told = list[Any]
"""Who tells, its numbers in the order of NAMES, its newest commit, its uploads and their age, and
the machines that it knows to be taken away."""
_TOLD = 6  # parts


@dataclass
class Totals:
    """What this process did, and those that it heard of."""

    amounts: dict[str, float]
    """Those of NAMES, and `preemptions`: machines that were taken away."""
    last_commit: float | None
    """Unix time."""
    uploads: int
    """Checkpoints handed over and not stored yet."""
    lag_seconds: float
    """Age of the oldest of them."""
    cpu_seconds: float
    gpu_seconds: float

    @property
    def buckets(self) -> list[float]:
        """How many commits each class has."""
        return [self.amounts[name] for name in _BUCKETS]


@dataclass
class _Heard:
    amounts: tuple[float, ...]
    uploads: int
    lag_seconds: float
    at: float = field(default_factory=time.monotonic, compare=False)


class Counts:
    """Sums of one process, safe to share by threads.

    What another process tells is a sum, too: it may be told twice or late, and counts once.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._source = uuid.uuid4().hex
        self._own = dict.fromkeys(NAMES, 0.0)
        self._others = dict.fromkeys(NAMES, 0.0)
        self._heard: OrderedDict[str, _Heard] = OrderedDict()
        self._uploads: WeakKeyDictionary[object, tuple[float, ...]] = WeakKeyDictionary()
        self._last_commit: float | None = None
        self._preempted: dict[str, None] = {}  # in the order heard of
        self._reserved, self._since = (0.0, 0.0), time.monotonic()
        self._spent = (0.0, 0.0)
        self.workers = 0
        """How many have something reserved."""
        self.listener: Callable[[int, float], None] | None = None
        """Hears of the training steps of this process, and of its own share of images."""

    def __reduce__(self) -> tuple[Callable[[], "Counts"], tuple[()]]:
        # Work that is sent to another process counts what that one does.
        return _this_process, ()

    def add(self, name: str, amount: float = 1) -> None:
        """Add to one of NAMES."""
        with self._lock:
            self._own[name] += float(amount)

    def commit(self, seconds: float, size_bytes: int) -> None:
        """Count a checkpoint that was stored."""
        with self._lock:
            self._own[_BUCKETS[bisect_left(BOUNDS_SECONDS, seconds)]] += 1
            self._own["commit_seconds"] += float(seconds)
            self._own["commit_bytes"] += float(size_bytes)
            self._last_commit = time.time()

    def upload(self, owner: object, handed: Sequence[float]) -> None:
        """Note when what an owner still has to store was handed over, by the monotonic clock."""
        with self._lock:
            self._uploads[owner] = tuple(handed)

    def preempted(self, nodes: Iterable[str]) -> None:
        """Note the ids of machines that are taken away; whoever notes one again changes nothing."""
        with self._lock:
            self._preempted.update(dict.fromkeys(nodes))

    def step(self, steps: int, images: float) -> None:
        """Tell the listener of so many more."""
        if self.listener is not None:
            self.listener(steps, images)

    def own(self) -> dict[str, float]:
        """Give what this process itself did."""
        with self._lock:
            return dict(self._own)

    @contextmanager
    def reserved(self, workers: int, cpus: float, gpus: float) -> Iterator[None]:
        """Count what is reserved for workers, all together, for as long as they have it."""
        self._reserve(workers, cpus, gpus)
        try:
            yield
        finally:
            self._reserve(0, 0.0, 0.0)

    def told(self) -> Told:
        """Give what another process may hear, as JSON can hold it."""
        with self._lock:
            uploads, lag = self._pending()
            numbers = [self._own[name] for name in NAMES]
            nodes = list(self._preempted)
            return [self._source, numbers, self._last_commit, uploads, lag, nodes]

    def hear(self, told: Told | None) -> None:
        """Take in what another process tells; None is nothing, nor is what another version says."""
        if not told or len(told) != _TOLD or len(told[1]) != len(NAMES):
            return
        source, numbers, last_commit, uploads, lag, nodes = told
        if source == self._source:
            return
        with self._lock:
            before = self._heard.pop(source, None)
            known = before.amounts if before else (0.0,) * len(NAMES)
            for name, old, new in zip(NAMES, known, numbers, strict=True):
                self._others[name] += max(0.0, new - old)
            newest = tuple(map(max, known, numbers))
            heard = _Heard(newest, uploads, lag)
            # What is read again was not said again.
            self._heard[source] = before if before is not None and before == heard else heard
            self._preempted.update(dict.fromkeys(nodes))
            if len(self._heard) > _SOURCES:
                self._heard.popitem(last=False)
            if last_commit is not None:
                self._last_commit = max(self._last_commit or 0.0, last_commit)

    def totals(self) -> Totals:
        """Add up this process and those that it heard of."""
        with self._lock:
            uploads, lag = self._pending()
            earliest = time.monotonic() - _PRESENT_SECONDS
            for heard in self._heard.values():
                if heard.at >= earliest:
                    uploads, lag = uploads + heard.uploads, max(lag, heard.lag_seconds)
            amounts = {name: self._own[name] + self._others[name] for name in NAMES}
            amounts["preemptions"] = float(len(self._preempted))
            cpus, gpus = self._spent_now()
            return Totals(amounts, self._last_commit, uploads, lag, cpus, gpus)

    def _pending(self) -> tuple[int, float]:
        handed = [moment for moments in self._uploads.values() for moment in moments]
        return len(handed), max(0.0, time.monotonic() - min(handed)) if handed else 0.0

    def _reserve(self, workers: int, cpus: float, gpus: float) -> None:
        with self._lock:
            self._spent, self._since = self._spent_now(), time.monotonic()
            self._reserved, self.workers = (float(cpus), float(gpus)), workers

    def _spent_now(self) -> tuple[float, float]:
        seconds = time.monotonic() - self._since
        cpus, gpus = self._reserved
        return self._spent[0] + cpus * seconds, self._spent[1] + gpus * seconds


COUNTS = Counts()
"""This process's own."""


def _this_process() -> Counts:
    return COUNTS
