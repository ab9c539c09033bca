"""How much memory a piece of work takes at its peak, in this process."""

import ctypes
import gc
import re
from collections.abc import Callable
from pathlib import Path


def growth_bytes(work: Callable[[], object]) -> int:
    """Give how far the memory of this process rose above what it was while `work` was done."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what a training kept for itself would hide what is taken
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _memory("VmRSS")
    work()
    return _memory("VmHWM") - before


def _memory(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.M)
    assert found is not None
    return 1024 * int(found[1])
