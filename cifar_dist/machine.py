"""What this process may really use of its machine: CPUs by affinity and cgroup quota."""

import math
import os
from pathlib import Path


def owned_cpus() -> int:
    """Count the CPUs this process owns: its affinity, capped by its cgroup's quota; at least 1."""
    quota = min(_quota_v2(), _quota_v1())
    return max(1, math.floor(min(len(os.sched_getaffinity(0)), quota)))


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
