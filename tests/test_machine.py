"""CPUs are counted as owned, not as built in; memory that is freed stays with the process."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cifar_dist.machine import keep_freed_memory, owned_cpus

V1 = {"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}


@pytest.fixture
def of_eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))


def pretend(monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> None:
    def read_text(path: Path) -> str:
        try:
            return files[str(path).removeprefix("/sys/fs/cgroup/")]
        except KeyError as error:
            raise FileNotFoundError(str(path)) from error

    monkeypatch.setattr(Path, "read_text", read_text)


@pytest.mark.usefixtures("of_eight")
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "300000 100000"}, 3),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "9900000 100000"}, 8),
        (V1, 2),
        ({**V1, "cpu/cpu.cfs_quota_us": "-1"}, 8),
        ({"cpu.max": "torn"}, 8),
    ],
)
def test_cpus_are_those_of_the_affinity_within_the_quota(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
) -> None:
    pretend(monkeypatch, files)
    assert owned_cpus() == expected


_FAULTS = """
import resource
from cifar_dist.machine import keep_freed_memory
keep_freed_memory()
def fill():
    bytearray(b"x") * 2**23
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_memory_that_is_freed_is_not_faulted_in_again() -> None:
    found = subprocess.run([sys.executable, "-c", _FAULTS], capture_output=True, check=True)
    assert int(found.stdout) < 200  # 20 buffers of 2,048 pages


def test_a_c_library_without_settings_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    keep_freed_memory.__wrapped__()


@pytest.mark.parametrize("largest", [2**28, 2**25])
def test_the_largest_buffer_that_the_c_library_accepts_is_kept(
    largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: dict[int, int] = {}

    def mallopt(option: int, value: int) -> int:
        fits = option != -3 or value <= largest
        if fits:
            taken[option] = value
        return int(fits)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    keep_freed_memory.__wrapped__()
    assert taken == {-1: 2**31 - 1, -2: 2**26, -3: largest}
