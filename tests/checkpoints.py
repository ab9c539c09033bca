"""A run on disk, checkpoints to put into it, and ways to damage them."""

import threading
from pathlib import Path

import pytest

from cifar_dist.runs import Attempt, Manifest, Run
from cifar_dist.store import open_store


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def run(place: Path) -> Run:
    return Run(open_store(str(place)), "runs/a-00000000")


def state(tmp_path: Path, step: int) -> Path:
    """Make a folder such as a learner saves."""
    folder = tmp_path / f"saved-{step}-{threading.get_ident()}"
    folder.mkdir()
    (folder / "state.pt").write_bytes(f"state {step}".encode() * 100)
    (folder / "history.json").write_bytes(b"[]")
    return folder


def commit(attempt: Attempt, tmp_path: Path, step: int) -> Manifest:
    metrics = {"validation_loss": 1 / step}
    return attempt.commit(state(tmp_path, step), step=step, epoch=step, metrics=metrics)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGE = [flip, truncate, empty, Path.unlink]
