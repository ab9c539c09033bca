"""How much of the CPUs others take, and what CPU time a process and its children have spent."""

import os
import time
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_IDLE = (3, 4)  # columns of a line of /proc/stat: idle, and waiting for a disk
_SUMMED = (0, 1, 2, 3, 4, 5, 6, 7)  # up to stolen; guests' time is in the first two already
_unwaited = [0.0]


class Load:
    """The CPUs that this process may use, watched from now on."""

    def __init__(self) -> None:
        self._started, self._own = _busy_and_whole(), _own_seconds()

    def foreign(self) -> float | None:
        """Share of the time since then that neither this process tree nor nobody had; 0 to 1."""
        now = _busy_and_whole()
        if now is None or self._started is None or now[1] <= self._started[1]:
            return None
        others = now[0] - self._started[0] - (_own_seconds() - self._own)
        return min(1.0, max(0.0, others / (now[1] - self._started[1])))

    @staticmethod
    def average() -> float:
        """Give the machine's load average of the last minute."""
        return os.getloadavg()[0]


def tree_seconds(root: int | None = None) -> float:
    """CPU seconds of a process (default: this one) and all its descendants, ended ones included.

    A descendant that ended counts from when its parent has waited for it; one that another process
    took over no longer counts.
    """
    times, parents = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := _fields(folder)):
            parents[int(folder.name)] = int(fields[1])
            times[int(folder.name)] = sum(map(int, fields[11:15])) / _TICK
    wanted = root or os.getpid()
    return sum(spent for pid, spent in times.items() if _descends(pid, wanted, parents))


def credit(seconds: float) -> None:
    """Count CPU seconds of descendants that ended and that nobody waited for, as those of Ray."""
    _unwaited[0] += seconds


def _own_seconds() -> float:
    return tree_seconds() + _unwaited[0]


def cpu_seconds() -> float:
    """CPU seconds of this process's threads and of the children it has waited for, exactly."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _fields(folder: Path) -> list[str]:
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []  # it ended meanwhile


def _descends(pid: int, root: int, parents: dict[int, int]) -> bool:
    while pid in parents and pid != root:
        pid = parents[pid]
    return pid == root


def _busy_and_whole() -> tuple[float, float] | None:
    mine = {f"cpu{index}" for index in os.sched_getaffinity(0)}
    try:
        lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    except OSError:
        return None
    columns = [[int(value) for value in line[1:]] for line in lines if line and line[0] in mine]
    whole = sum(line[index] for line in columns for index in _SUMMED)
    idle = sum(line[index] for line in columns for index in _IDLE)
    return (whole - idle) / _TICK, whole / _TICK
