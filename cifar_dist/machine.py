"""What this process may really use of its machine: CPUs and memory, within its cgroup."""

import ctypes
import functools
import math
import os
from pathlib import Path

_CGROUP = "/sys/fs/cgroup"
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of mallopt, in malloc.h
_MEMORY_FILES = (
    (f"{_CGROUP}/memory.max", f"{_CGROUP}/memory.current", f"{_CGROUP}/memory.stat"),
    (
        f"{_CGROUP}/memory/memory.limit_in_bytes",
        f"{_CGROUP}/memory/memory.usage_in_bytes",
        f"{_CGROUP}/memory/memory.stat",
    ),
)


def owned_cpus() -> int:
    """Count the CPUs this process owns: its affinity, capped by its cgroup's quota; at least 1."""
    quota = min(_quota_v2(), _quota_v1())
    return max(1, math.floor(min(len(os.sched_getaffinity(0)), quota)))


def free_memory() -> int:
    """Count the bytes this process may still take: the machine's, capped by its cgroup's limit."""
    free = _counted("/proc/meminfo", "MemAvailable:") * 1024
    return int(min(free, *(_left(*files) for files in _MEMORY_FILES)))


@functools.cache
def keep_freed_memory() -> None:
    """Let this process, from now on, reuse the memory that it frees, up to its peak.

    Else glibc gives the buffers of each step back and the next step's are faulted in page by page:
    a third of the time of a small net's step. Elsewhere than on glibc nothing changes.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust is None:
        return
    adjust(_TRIM_THRESHOLD, 2**31 - 1)
    adjust(_TOP_PAD, 2**26)
    if not adjust(_MMAP_THRESHOLD, 2**28):
        adjust(_MMAP_THRESHOLD, 2**25)  # the most before glibc 2.35


def _counted(path: str, name: str) -> int:
    lines = Path(path).read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def _left(limit: str, used: str, statistics: str) -> float:
    try:
        left = int(Path(limit).read_text()) - int(Path(used).read_text())
        return left + _counted(statistics, "inactive_file")  # given up when memory is short
    except (OSError, ValueError, StopIteration):
        return math.inf


def _quota_v2() -> float:
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return math.inf
    return math.inf if limit == "max" else int(limit) / int(period)


def _quota_v1() -> float:
    folder = Path("/sys/fs/cgroup/cpu")
    try:
        limit = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return math.inf
    return math.inf if limit <= 0 else limit / period
