"""Jobs, images and learners so small that training takes a moment."""

from typing import Any

import torch

from cifar_dist.config import Job, Recipe, parse_job, patched
from cifar_dist.data import Images
from cifar_dist.documents import EpochRecord
from cifar_dist.learner import Learner
from cifar_dist.precision import Arithmetic

CPU = torch.device("cpu")
FP32 = Arithmetic("fp32", CPU)

_JOB = {
    "name": "tiny",
    "recipe": {
        "data": "synthetic",
        "model": {"name": "lenet5"},
        "optimizer": {"name": "sgd", "lr": 0.05},
        "epochs": 2,
        "batch_size": 100,
        "precision": "fp32",
    },
    "placement": {"workers": 0, "gpus_per_worker": 0},
}


def make_job(**overrides: Any) -> Job:
    """Give the tiny job, patched; a double underscore stands for a dot."""
    return patched(parse_job(_JOB), {k.replace("__", "."): v for k, v in overrides.items()})


def make_recipe(**overrides: Any) -> Recipe:
    """Give the tiny job's recipe, patched below it."""
    return make_job(**{f"recipe__{key}": value for key, value in overrides.items()}).recipe


def pictures(count: int, seed: int = 0) -> Images:
    """Draw noise whose brightness tells its class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 10
    noise = torch.randint(0, 100, (count, 3, 32, 32), generator=generator)
    return Images((noise + 15 * labels.view(-1, 1, 1, 1)).to(torch.uint8), labels)


def make_learner(count: int = 250, **overrides: Any) -> Learner:
    """Give a learner of the tiny recipe, patched, on drawn images."""
    return Learner(make_recipe(**overrides), pictures(count), FP32)


def take_steps(learner: Learner, count: int) -> None:
    """Train for some steps as the loop would; every epoch ends with the same losses."""
    for _ in range(count):
        learner.advance(next(learner.batches()))
        if learner.step % learner.steps_per_epoch == 0:
            learner.finish_epoch(a_record(learner.epoch + 1, validation_loss=1.0))


def a_record(epoch: int, validation_loss: float | None = None) -> EpochRecord:
    """Give a record of an epoch that took no time."""
    return EpochRecord(
        epoch=epoch,
        train_loss=1.0,
        train_accuracy=0.5,
        validation_loss=validation_loss,
        validation_accuracy=None,
        lr=0.1,
        seconds=1.0,
        images_per_second=1.0,
    )
