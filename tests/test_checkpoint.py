"""A snapshot is a copy of its own, written whole or not at all."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cifar_dist.checkpoint import HISTORY, STATE, WEIGHTS
from cifar_dist.errors import StoreError
from cifar_dist.learner import Learner
from cifar_dist.optim import AVERAGINGS, OPTIMIZERS
from tests.tiny import make_learner, take_steps

FILES = {WEIGHTS, STATE, HISTORY}


@contextmanager
def files_end_at(size_bytes: int) -> Iterator[None]:
    """Let the disk refuse what would make a file larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value
    return [t for v in items if isinstance(v, Tensor | dict | list) for t in tensors(v)]


def read(folder: Path) -> list[Tensor]:
    """Give every tensor of a checkpoint."""
    state = torch.load(folder / STATE, weights_only=True)
    return [*load_file(folder / WEIGHTS).values(), *tensors(state)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS.names)
@pytest.mark.parametrize("averaging", AVERAGINGS.names)
def test_a_snapshot_stays_as_it_is_while_training_goes_on(
    optimizer: str, averaging: str, tmp_path: Path
) -> None:
    learner = make_learner(optimizer={"name": optimizer}, averaging={"name": averaging})
    take_steps(learner, 2)
    early, late = tmp_path / "early", tmp_path / "late"
    early.mkdir()
    late.mkdir()
    snapshot = learner.snapshot()
    snapshot.write(early)
    take_steps(learner, 2)
    snapshot.write(late)
    assert torch.load(late / STATE, weights_only=True)["step"] == 2
    assert all(torch.equal(a, b) for a, b in zip(read(early), read(late), strict=True))


def test_a_snapshot_knows_about_how_large_its_files_are(tmp_path: Path) -> None:
    learner = make_learner(model={"name": "simple_cnn"})
    take_steps(learner, 1)
    snapshot = learner.snapshot()
    snapshot.write(tmp_path)
    written = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert snapshot.size_bytes == pytest.approx(written, rel=0.05)


def saved(learner: Learner, folder: Path) -> None:
    learner.snapshot().write(folder)


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_a_disk_that_fails_is_one_sentence_and_leaves_no_part(share: float, tmp_path: Path) -> None:
    # The optimizer's state is larger than the weights: the disk fails at the one or the other.
    learner = make_learner(optimizer={"name": "adam"})
    take_steps(learner, 1)
    limit = int(share * learner.snapshot().size_bytes * 2 / 3)
    with (
        files_end_at(limit),
        pytest.raises(StoreError, match=rf"into {tmp_path}: .*TMPDIR") as caught,
    ):
        saved(learner, tmp_path)
    assert "\n" not in str(caught.value)
    assert not any(tmp_path.iterdir())
