"""CPU seconds of a process and of all that it starts, by looking often: Ray waits for nobody."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Lock, Thread
from typing import NamedTuple

_TICK = os.sysconf("SC_CLK_TCK")
_PAUSE_SECONDS = 0.2
_END_SECONDS = 10.0


class _Seen(NamedTuple):
    """A line of /proc; `started` tells a process from a later one of the same number."""

    pid: int
    parent: int
    started: int
    seconds: float
    is_zombie: bool


class Tree:
    """The processes below `root` and itself, those that ended included, watched until `end`.

    What a process spends between the last look and its end is lost: at most a fifth of a second.
    """

    def __init__(self, root: int) -> None:
        self._root, self._known = root, dict[tuple[int, int], float]()
        self._lock, self._is_over = Lock(), Event()
        self.seconds()
        self._thread = Thread(target=self._watch, daemon=True)
        self._thread.start()

    def seconds(self) -> float:
        """CPU seconds of all of them so far."""
        with self._lock:
            for process in self._mine():
                self._known[process.pid, process.started] = process.seconds
            return sum(self._known.values())

    def end(self) -> None:
        """Kill what is left of it, and wait until it is gone."""
        self._is_over.set()
        self._thread.join()
        deadline = time.monotonic() + _END_SECONDS
        while (left := self._living()) and time.monotonic() < deadline:
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(_PAUSE_SECONDS)

    def _living(self) -> list[int]:
        self.seconds()
        with self._lock:
            return [process.pid for process in self._mine() if not process.is_zombie]

    def _mine(self) -> Iterator[_Seen]:
        # A process is ours if it was once or if its parent is; parents start before children.
        mine: set[int] = set()
        for process in sorted(_processes(), key=lambda seen: (seen.started, seen.pid)):
            was_ours = (process.pid, process.started) in self._known
            if was_ours or process.pid == self._root or process.parent in mine:
                mine.add(process.pid)
                yield process

    def _watch(self) -> None:
        while not self._is_over.wait(_PAUSE_SECONDS):
            self.seconds()


def _processes() -> Iterator[_Seen]:
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            fields = Path(entry.path, "stat").read_text("latin-1").rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        spent = (int(fields[11]) + int(fields[12])) / _TICK
        parent, started = int(fields[1]), int(fields[19])
        yield _Seen(int(entry.name), parent, started, spent, fields[0] == "Z")
