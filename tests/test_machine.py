"""CPUs are counted as owned, not as built in."""

import os
from pathlib import Path

import pytest

from cifar_dist.machine import owned_cpus

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
