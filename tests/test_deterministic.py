"""Sums of one order: everything that can be trained trains with them, and only where asked."""

from collections.abc import Iterator

import pytest
import torch

from cifar_dist.augment import AUGMENTATIONS
from cifar_dist.config import Job, patched
from cifar_dist.learner import Learner
from cifar_dist.models import MODELS
from cifar_dist.optim import OPTIMIZERS
from cifar_dist.precision import fix_order
from cifar_dist.runs import Run
from cifar_dist.session import train_session
from cifar_dist.store import open_store
from cifar_dist.world import World
from tests.tiny import FP32, make_recipe, pictures, take_steps
from tests.watchers import Watcher

OF_NUMPY = "albumentations"


@pytest.fixture(autouse=True)
def _any_kernel_again() -> Iterator[None]:
    yield
    fix_order(False)


def train_two_steps(**options: object) -> None:
    fix_order(True)
    learner = Learner(make_recipe(batch_size=8, **options), pictures(16), FP32)
    take_steps(learner, 2)
    assert torch.isfinite(learner.tally[0]) or learner.epoch == 1


@pytest.mark.parametrize("name", MODELS.names)
def test_every_model_trains(name: str) -> None:
    train_two_steps(model={"name": name})


@pytest.mark.parametrize("name", [n for n in AUGMENTATIONS.names if n != OF_NUMPY])
def test_every_augmentation_trains(name: str) -> None:
    train_two_steps(augmentation=[{"name": name}])


@pytest.mark.parametrize("name", OPTIMIZERS.names)
def test_every_optimizer_trains(name: str) -> None:
    train_two_steps(optimizer={"name": name})


def test_what_one_job_asks_for_the_next_one_is_not_bound_to(tiny_job: Job) -> None:
    for number, wanted in enumerate((True, False)):
        job = patched(tiny_job, {"placement.deterministic": wanted, "recipe.epochs": 1})
        run = Run(open_store(job.store), f"runs/tiny-0000000{number}")
        train_session(job, run, World(), Watcher(1))
        assert torch.are_deterministic_algorithms_enabled() == wanted
        assert torch.backends.cudnn.deterministic == wanted
        assert not torch.backends.cudnn.benchmark
