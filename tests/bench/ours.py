"""Our own side: images, recipes, and our trainer run for a while at a time."""

import functools
import time
from typing import Any

import torch

from cifar_dist.config import Recipe, parse_job
from cifar_dist.data import Dataset, Images
from cifar_dist.dataset import open_dataset
from cifar_dist.learner import Learner
from cifar_dist.loop import epochs
from cifar_dist.precision import Arithmetic
from cifar_dist.probe import probe
from cifar_dist.world import World
from tests.bench.rounds import Absent, Setting

BATCH = 128
CPU = torch.device("cpu")
ENDLESS = 10_000
"""Epochs of a training that is measured by the second."""
PLAIN_SGD = {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": False, "weight_decay": 5e-4}
"""The optimizer of both sides where only speed is compared."""
_FEW = 64


@functools.lru_cache(maxsize=2)
def _dataset(data: str, seed: int, fraction: float) -> Dataset:
    return open_dataset(data, validation_fraction=fraction, seed=seed)


def dataset(setting: Setting, validation_fraction: float = 0.1) -> Dataset:
    """Open the setting's images, once for all rows."""
    return _dataset(setting.data, setting.seed, validation_fraction)


def training_images(setting: Setting) -> Images:
    """Give the training images; some of them where only running matters."""
    images = dataset(setting).train
    return images.select(torch.arange(_FEW)) if setting.smoke else images


def recipe(setting: Setting, model: dict[str, Any], **fields: Any) -> Recipe:
    """Give a recipe: plain SGD at a constant rate for ever, unless fields say otherwise."""
    given = {
        "data": setting.data,
        "seed": setting.seed,
        "model": model,
        "augmentation": [{"name": "classic"}],
        "optimizer": PLAIN_SGD,
        "schedule": {"name": "constant"},
        "epochs": ENDLESS,
        "batch_size": BATCH,
        "label_smoothing": 0.0,
    }
    return parse_job({"recipe": given | fields}).recipe


def arithmetic(
    recipe: Recipe, images: Images, setting: Setting, device: torch.device
) -> Arithmetic:
    """Choose the arithmetic as a training does: by its probe."""
    if setting.smoke:
        return Arithmetic("fp32", device)
    verdict = probe(recipe, images, device)
    setting.notes.append(f"ours computes in {verdict['name']}: {verdict['reason']}")
    return Arithmetic(verdict["name"], device)


def cuda(setting: Setting) -> torch.device:
    """Give the GPU, or where only running matters the CPU; raises Absent without one."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if setting.smoke:
        return CPU
    raise Absent("there is no GPU here.")


class Training:
    """Our trainer as a stream that stands still between two measurements."""

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        self._events = epochs(learner, None)

    def images_per_second(self, seconds: float) -> float:
        """Train for some seconds, up to a tick; all ranks call this and stop at the same step."""
        learner = self.learner
        first, started = learner.step, time.perf_counter()
        while True:
            next(self._events)
            spent = time.perf_counter() - started
            if learner.world.agree(spent >= seconds):
                break
        images = (learner.step - first) * len(learner.labels) / learner.steps_per_epoch
        return images / spent


def training(
    recipe: Recipe, images: Images, how: Arithmetic, world: World | None = None
) -> Training:
    """Build the trainer of a recipe."""
    return Training(Learner(recipe, images, how, world))
