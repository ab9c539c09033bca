"""The jobs that are killed, and what undisturbed runs of them learn."""

import random
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.soak import LONG
from tests.soak_kills import Killed
from tests.soak_processes import Task, ended
from tests.soak_runs import attempts, learned, run_in

STEPS = 80 if LONG else 36
"""Within these a run is struck; the rest gives the last strike time to come before the end."""

_EPOCHS = 5 if LONG else 4  # of 20 and 18 steps
_IMAGES = "--data sample --batch-size 450" if LONG else "--data synthetic --batch-size 100"
_COMMON = "--name soak --set placement.gpus_per_worker=0 --set placement.cpus_per_worker=1"
_MIDWAY = f"{_COMMON} {_IMAGES} --epochs {_EPOCHS} --set placement.checkpoint_seconds=1 --set "
_MIDWAY += "placement.max_failures=100 --model regularized_cnn"
VARIANTS = {
    "plain": f"{_MIDWAY} --set recipe.precision=fp32 --set recipe.optimizer.name=sgd --lr 0.05",
    "everything": (
        f"{_MIDWAY} --set recipe.precision=bf16 --set recipe.averaging.name=ema --set "
        "recipe.warmup_epochs=1 --set recipe.schedule.name=plateau --set "
        "recipe.gradient_clip_norm=5 --set 'recipe.augmentation=[{name: alternating_flip}, "
        "{name: pad_crop}, {name: cutout}, {name: mixup}]'"
    ),
    "one epoch": (
        f"{_COMMON} --data sample --batch-size 90 --epochs 1 --model speednet --set "
        "'recipe.model.widths=[64, 256, 256]' --set placement.checkpoint_seconds=null --set "
        "placement.max_failures=0 --set recipe.precision=fp32"
    ),
}
"""Flags; the last commits nothing by itself before its end."""

Straight = Callable[[str, int], str]


def task(folder: Path, variant: str, workers: int, **more: Any) -> Task:
    """Give a run of one of the jobs, in a store of its own."""
    flags = shlex.split(f"{VARIANTS[variant]} --workers {workers}")
    store = more.pop("store", str(folder / "store"))
    return Task(("train", *flags), store, folder / "cwd", **more)


@pytest.fixture(scope="session")
def straight(ray_address: str, tmp_path_factory: pytest.TempPathFactory) -> Straight:
    """Give what an undisturbed run learns; each kind runs once."""
    known: dict[tuple[str, int], str] = {}

    def learned_by(variant: str, workers: int) -> str:
        if (variant, workers) not in known:
            undisturbed = task(tmp_path_factory.mktemp("straight"), variant, workers)
            assert ended(undisturbed, undisturbed.begin()) == 0, undisturbed.shown
            known[variant, workers] = learned(run_in(undisturbed.store))
        return known[variant, workers]

    return learned_by


def assert_unharmed(struck: Task, ending: Killed, expected: str) -> int:
    """Check a run that was struck and went on; gives how often it was begun anew."""
    run = run_in(struck.store)
    numbers = attempts(run)
    assert ending.code == 0, struck.shown[-3000:]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) - 1 <= ending.strikes
    assert learned(run) == expected
    return len(numbers) - 1


def seeds(count: int) -> list[random.Random]:
    """Give sources of chance, the same in every session."""
    return [random.Random(seed) for seed in range(count)]
