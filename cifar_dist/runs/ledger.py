"""A sweep in a store: what was asked, and the events of its trials in write-once segments."""

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from cifar_dist.errors import DamagedError
from cifar_dist.runs.attempts import Attempt
from cifar_dist.runs.dossier import Dossier
from cifar_dist.runs.identity import canonical
from cifar_dist.runs.run import Run

_FLUSH_SECONDS = 2.0
_FLUSHING = {"rung", "end"}  # what a restarted sweep must not forget
_READERS = 8
_SEGMENT_LIMIT_BYTES = 16 << 20


@dataclass
class TrialLog:
    """What the ledger says about one trial."""

    trial: int
    state: str = "started"
    """'started' until its end event names another."""
    overrides: dict[str, Any] = field(default_factory=dict)
    rungs: dict[int, float] = field(default_factory=dict)
    """Epoch to value; a repeated epoch counts once."""
    epochs: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Epoch to its event."""
    end: dict[str, Any] | None = None
    """The end event."""


class Sweep(Dossier):
    """Many trials of one job; trial n is a run of its own below it."""

    HEAD = "sweep.json"

    def trial(self, number: int) -> Run:
        """Give the run of a trial."""
        return Run(self.store, self.key(f"trials/{number:06d}"))

    def events(self) -> list[dict[str, Any]]:
        """Read all events in the order they were written. Raises DamagedError."""
        entries = self.store.entries(self.key("attempts"))
        keys = [entry.key for entry in entries if entry.key.endswith(".jsonl")]
        with ThreadPoolExecutor(_READERS) as readers:
            return list(chain.from_iterable(readers.map(self._segment, keys)))

    def trials(self) -> dict[int, TrialLog]:
        """Give what is known of every trial that was started. Raises DamagedError."""
        found: dict[int, TrialLog] = {}
        for event in self.events():
            log = found.setdefault(event["trial"], TrialLog(event["trial"]))
            _apply(log, event)
        return found

    def _segment(self, key: str) -> list[dict[str, Any]]:
        data = self.store.read(key, _SEGMENT_LIMIT_BYTES)
        lines = data.splitlines(keepends=True)
        if not lines or lines[-1] != _seal(b"".join(lines[:-1])):
            raise DamagedError(
                f"{key} in {self.store.uri} is damaged; restore it from a backup, "
                "or start the sweep again with --fresh"
            )
        return [json.loads(line) for line in lines[:-1]]


class Ledger:
    """Writes a sweep's events; for one thread; a fenced attempt is refused."""

    def __init__(self, sweep: Sweep, attempt: Attempt) -> None:
        self._sweep = sweep
        self._attempt = attempt
        self._segments = 0
        self._events: list[bytes] = []
        self._flushed = time.monotonic()

    def add(self, event: str, trial: int, **facts: object) -> None:
        """Note a start, epoch, rung or end; a rung, an end or 2 seconds gone by store it at once.

        Raises RefusedError when fenced.
        """
        line = {"event": event, "trial": trial, "attempt": self._attempt.number, **facts}
        self._events.append(canonical(line) + b"\n")
        if event in _FLUSHING or time.monotonic() - self._flushed >= _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Store what was noted since the last time."""
        if not self._events:
            return
        self._attempt.check_fence()
        data = b"".join(self._events)
        key = f"{self._attempt.folder}/events-{self._segments + 1:06d}.jsonl"
        self._sweep.store.write(key, data + _seal(data))
        self._segments += 1
        self._events = []
        self._flushed = time.monotonic()


def _apply(log: TrialLog, event: dict[str, Any]) -> None:
    match event["event"]:
        case "start":
            log.state, log.overrides, log.end = "started", event["overrides"], None
        case "rung":
            log.rungs[event["epoch"]] = event["value"]
        case "epoch":
            log.epochs[event["epoch"]] = event
        case "end":
            log.state, log.end = event["state"], event


def _seal(data: bytes) -> bytes:
    return canonical({"seal": hashlib.sha256(data).hexdigest()}) + b"\n"
