"""The ledger of a sweep: what its trials did, kept as it happens by the one driver that may."""

import json
import time
from collections.abc import Iterator
from typing import Any

from cifar_dist.runs.attempts import Attempt
from cifar_dist.runs.identity import canonical
from cifar_dist.runs.segments import (
    CHUNK,
    events,
    merged_key,
    packed,
    segment_key,
    stretches,
)
from cifar_dist.runs.sweep import Sweep

_FLUSH_SECONDS = 2.0
_FLUSHING = {"open", "rung", "end", "close"}  # what a restarted sweep must not forget


class Ledger:
    """Writes a sweep's events; for one thread; a fenced attempt is refused."""

    def __init__(self, sweep: Sweep, attempt: Attempt, started: float | None = None) -> None:
        """`started` is when the attempt began, by the monotonic clock; now if left out."""
        self._store = sweep.store
        self._attempt = attempt
        self._started = time.monotonic() if started is None else started
        self._past = stretches(self._store, sweep.prefix, below=attempt.number)
        self._segments = 0
        self._chunk: list[bytes] = []
        self._events: list[bytes] = []
        self._flushed = time.monotonic()

    def replay(self) -> Iterator[dict[str, Any]]:
        """Read what the attempts before this one told. Raises DamagedError."""
        return events(self._store, self._past)

    def open(self, **facts: object) -> dict[str, Any]:
        """Note that this attempt begins, and how much of those before it counts from now on."""
        base = {stretch.folder.rpartition("/")[2]: stretch.count for stretch in self._past}
        return self.add("open", None, base={str(int(name)): n for name, n in base.items()}, **facts)

    def add(self, event: str, trial: int | None = None, **facts: object) -> dict[str, Any]:
        """Note an open, start, epoch, rung, end or close; gives it as a reader will find it.

        All but a start and an epoch are stored at once, as are any 2 seconds. Raises RefusedError
        when fenced.
        """
        line = {"event": event, "attempt": self._attempt.number, **facts}
        line["at_seconds"] = round(time.monotonic() - self._started, 3)
        if trial is not None:
            line["trial"] = trial
        data = canonical(line)
        self._events.append(data + b"\n")
        if event in _FLUSHING or time.monotonic() - self._flushed >= _FLUSH_SECONDS:
            self.flush()
        noted: dict[str, Any] = json.loads(data)
        return noted

    def flush(self) -> None:
        """Store what was noted since the last time."""
        if not self._events:
            return
        self._attempt.check_fence()
        lines = b"".join(self._events)
        key = segment_key(self._attempt.folder, self._segments + 1)
        self._store.write(key, packed(lines))
        self._segments += 1
        self._events = []
        self._flushed = time.monotonic()
        self._chunk.append(lines)
        if len(self._chunk) == CHUNK:
            merged = merged_key(self._attempt.folder, self._segments // CHUNK)
            self._store.write(merged, packed(b"".join(self._chunk)))
            self._chunk = []
