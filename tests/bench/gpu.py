"""Rows that need a GPU; where only running matters they run in miniature on the CPU."""

import statistics
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from cifar_dist.config import Recipe, load_job, patched, recipe_path
from cifar_dist.data import Images, normalize
from cifar_dist.learner import Learner
from cifar_dist.loop import epochs
from cifar_dist.machine import owned_cpus
from tests.bench import airbench, step
from tests.bench.input import ours as input_stream
from tests.bench.ours import ENDLESS, arithmetic, cuda, dataset, training_images
from tests.bench.rounds import Row, Setting, Side, rate
from tests.bench.training import sides_of

_CROP_AND_FLIP: list[dict[str, Any]] = [
    {"name": "alternating_flip"},
    {"name": "pad_crop", "padding": 2},
]
_BATCH = 2_048
_WORKERS = (min(16, owned_cpus()),)
_PLAN = airbench.Plan()
_TINY = airbench.Plan(widths=(8, 8, 8), epochs=1, batch_size=64, whitening_epochs=1)


def _augmentation(setting: Setting) -> tuple[Side, Side]:
    device = cuda(setting)
    whole = training_images(setting)
    images = Images(whole.pixels.to(device), whole.labels.to(device))
    batch = min(_BATCH, len(images) // 2)
    mine = input_stream(
        images, _CROP_AND_FLIP, setting.seed, batch=batch, memory_format=torch.channels_last
    )
    loader = airbench.Loader(images, device, batch, setting.seed)

    def theirs() -> Iterator[Tensor]:
        while True:
            yield from (pixels for pixels, _ in loader.epoch())

    stream = theirs()
    return _counted(mine, setting), _counted(stream, setting)


def _counted(stream: Iterator[Tensor], setting: Setting) -> Side:
    def work() -> int:
        batches = [next(stream) for _ in range(8)]
        batches[-1][0, 0, 0, 0].item()  # waits for the device
        return sum(map(len, batches))

    return lambda: rate(work, setting.seconds)


def _fast_recipe(setting: Setting, seed: int, epochs: int) -> Recipe:
    """Give the fast net at the reference's width, rate and batches; all else as it is shipped."""
    plan = _plan(setting)
    fields = {
        "recipe.seed": seed,
        "recipe.model.widths": list(plan.widths),
        "recipe.epochs": epochs,
        "recipe.batch_size": plan.batch_size,
        "recipe.optimizer.lr": plan.muon_lr,
    }
    return patched(load_job(recipe_path("speednet")), fields).recipe


def _plan(setting: Setting) -> airbench.Plan:
    return _TINY if setting.smoke else _PLAN


def _input_share(setting: Setting) -> tuple[Side, Side]:
    endless = _fast_recipe(setting, setting.seed, ENDLESS)
    return step.input_share(setting, endless, training_images(setting), cuda(setting))


class _Fast:
    """Both trainings of the fast net on all training images, each round with another seed."""

    def __init__(self, setting: Setting) -> None:
        self._setting, self._device, self._plan = setting, cuda(setting), _plan(setting)
        data = dataset(setting, 0.0)
        self._images = training_images(setting) if setting.smoke else data.train
        self._test = data.test.select(torch.arange(20)) if setting.smoke else data.test
        first = _fast_recipe(setting, setting.seed, self._plan.epochs)
        self._arithmetic = arithmetic(first, self._images, setting, self._device)
        self._reached: dict[str, list[float]] = {"ours": [], "the reference": []}
        if not setting.smoke:  # kernels are loaded and chosen
            self._trained(setting.seed, 1)
            self._reference(setting.seed, 1).run()

    def ours(self) -> float:
        """Give the seconds of one training of ours."""
        started = time.perf_counter()
        learner = self._trained(self._seed("ours"), self._plan.epochs)
        spent = time.perf_counter() - started
        pixels = normalize(self._test.pixels.to(self._device))
        labels = self._test.labels.to(self._device)
        self._tell("ours", airbench.accuracy(learner.model, pixels, labels))
        return spent

    def reference(self) -> float:
        """Give the seconds of one training of the reference."""
        started = time.perf_counter()
        training = self._reference(self._seed("the reference"), self._plan.epochs)
        training.run()
        spent = time.perf_counter() - started
        self._tell("the reference", training.accuracy(self._test))
        return spent

    def _trained(self, seed: int, count: int) -> Learner:
        recipe = _fast_recipe(self._setting, seed, count)
        learner = Learner(recipe, self._images, self._arithmetic)
        for _ in epochs(learner, None):
            pass
        return learner

    def _reference(self, seed: int, count: int) -> airbench.Training:
        plan = self._plan._replace(epochs=count)
        return airbench.Training(self._images, plan, self._device, seed)

    def _seed(self, name: str) -> int:
        return self._setting.seed + len(self._reached[name])

    def _tell(self, name: str, accuracy: float) -> None:
        found, notes = self._reached[name], self._setting.notes
        found.append(accuracy)
        notes[:] = [note for note in notes if not note.startswith(f"{name} reached")]
        notes.append(f"{name} reached {statistics.fmean(found):.2%}, the mean of {len(found)} runs")


def _to_accuracy(setting: Setting) -> tuple[Side, Side]:
    both = _Fast(setting)
    return both.ours, both.reference


def _training(name: str, batch_size: int, goal: str, absolute_goal: str = "") -> Row:
    return Row(
        name=f"gpu_training_{name}",
        what=f"{name} on a GPU in batches of {batch_size} ÷ the reference loop with 16 workers",
        unit="images/s",
        goal=goal,
        absolute_goal=absolute_goal,
        sides=sides_of({"name": name}, cuda, _WORKERS, batch_size),
    )


ROWS = (
    Row(
        name="gpu_augmentation",
        what="crop, flip and normalize on a GPU in batches of 2,048 ÷ a loader as airbench's",
        unit="images/s",
        goal=">= 2",
        absolute_goal=">= 50e6",
        sides=_augmentation,
    ),
    Row(
        name="gpu_input_share",
        what="input of a step of the fast net (64, 256, 256) on a GPU ÷ the whole step",
        unit="ms",
        goal="<= 0.03",
        sides=_input_share,
        higher_is_better=False,
    ),
    # 3.33 GFLOP an image, forward and backward: 107,000 images/s are 45 % of 790 TFLOP/s.
    _training("resnet18_cam", 1_024, ">= 3", ">= 107000"),
    _training("lenet5", 128, ">= 25"),
    _training("simple_cnn", 128, ">= 25"),
    Row(
        name="gpu_time_to_94",
        what="seconds of training of the fast net in 8 epochs on a GPU ÷ airbench's with Muon",
        unit="s",
        goal="<= 0.75",
        sides=_to_accuracy,
        higher_is_better=False,
        is_long=True,
    ),
)
