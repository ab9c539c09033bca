"""Waiting for the disk."""

import os
from pathlib import Path

import pytest

from cifar_dist.dataset import cache, synthetic
from cifar_dist.durable import flush
from cifar_dist.store import open_store


@pytest.fixture
def synchronized(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the paths that are synchronized, in order."""
    paths: list[str] = []
    wait = os.fsync

    def observed(descriptor: int) -> None:
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        wait(descriptor)

    monkeypatch.setattr(os, "fsync", observed)
    return paths


def test_a_file_and_a_folder_are_waited_for_and_closed(
    tmp_path: Path, synchronized: list[str]
) -> None:
    (tmp_path / "a").write_bytes(b"x")
    before = len(list(Path("/proc/self/fd").iterdir()))
    flush(tmp_path / "a")
    flush(tmp_path)
    assert synchronized == ["a", tmp_path.name]
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_an_object_of_a_store_is_waited_for_with_its_folder(
    tmp_path: Path, synchronized: list[str]
) -> None:
    open_store(str(tmp_path)).write("runs/a.json", b"{}")
    assert len(synchronized) == 2
    assert synchronized[-1] == "runs"


def test_a_prepared_source_is_waited_for_before_and_after_it_appears(
    tmp_path: Path, synchronized: list[str]
) -> None:
    cache.fetch(cache.Source("synthetic", "1", synthetic.generate), tmp_path / "cache")
    assert synchronized[-3:] == ["index.json", "fresh", "cache"]
    assert len(synchronized) == 7
