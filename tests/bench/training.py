"""Rows of whole trainings: ours ÷ the reference loop, per second, per trial and to an accuracy."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from cifar_dist.config import load_job, recipe_path
from cifar_dist.data import Images
from cifar_dist.documents import EpochRecord
from cifar_dist.learner import Learner
from cifar_dist.loop import epochs, evaluate
from cifar_dist.world import World
from tests.bench.apart import Apart
from tests.bench.ours import (
    BATCH,
    CPU,
    arithmetic,
    dataset,
    recipe,
    training,
    training_images,
)
from tests.bench.rounds import Absent, Row, Setting, Side, rate
from tests.bench.seed_loop import SeedLoop, SeedRecipe, faster

_GOALS = {
    "lenet5": ">= 3.5",
    "simple_cnn": ">= 3.5",
    "dilated_dsc": ">= 2.0",
    "dsc_net": ">= 2.0",
    "resnet18_cam": ">= 1.8",
}
_WORKERS = (0, 2)
_FEW = 4
_TRIALS, _TRIAL_IMAGES = 16, 2_560
_MANY_IMAGES = 40_000
_LIMIT_SECONDS = 1_200.0
_SEED_EPOCHS = 30


def sides_of(
    model: dict[str, Any],
    device: Callable[[Setting], torch.device],
    workers: tuple[int, ...],
    batch_size: int = BATCH,
) -> Callable[[Setting], tuple[Side, Side]]:
    """Give both trainers on the same images and augmentation, in batches of the same size."""

    def sides(setting: Setting) -> tuple[Side, Side]:
        images, where = training_images(setting), device(setting)
        batch = _FEW if setting.smoke else batch_size
        asked = recipe(setting, model, batch_size=batch)
        mine = training(asked, images, arithmetic(asked, images, setting, where))

        wanted = SeedRecipe(model, batch_size=batch, device=str(where))
        counts = (0,) if setting.smoke else workers
        theirs = Apart(_reference, wanted, counts, images, setting.seconds)

        def reference() -> float:
            found, count = theirs()
            setting.notes.append(f"the reference loads with {count} workers")
            return float(found)

        return lambda: mine.images_per_second(setting.seconds), reference

    return sides


def _reference(
    wanted: SeedRecipe, counts: Sequence[int], images: Images, seconds: float
) -> Callable[[], tuple[float, int]]:
    """Give the images per second of the better number of workers, and that number."""
    loops = [SeedLoop(replace(wanted, workers=count), images) for count in counts]
    best = faster(loops, seconds) if len(loops) > 1 else loops[0]
    return lambda: (rate(best.step, seconds), best.recipe.workers)


def _trials(setting: Setting) -> tuple[Side, Side]:
    whole, count = training_images(setting), 2 if setting.smoke else _TRIALS
    images = whole.select(torch.arange(min(len(whole), _TRIAL_IMAGES)))
    rates = [0.01 * 1.2**number for number in range(count)]
    first = recipe(setting, {"name": "lenet5"}, epochs=1)
    how = arithmetic(first, images, setting, CPU)

    def ours() -> float:
        started = time.perf_counter()
        for lr in rates:
            optimizer = {**first.optimizer.model_dump(), "lr": lr}
            asked = recipe(setting, {"name": "lenet5"}, epochs=1, optimizer=optimizer)
            for _ in epochs(Learner(asked, images, how), None):
                pass
        return count * len(images) / (time.perf_counter() - started)

    theirs = Apart(_reference_trials, rates, images)
    return ours, lambda: float(theirs())


def _reference_trials(rates: Sequence[float], images: Images) -> Callable[[], float]:
    def images_per_second() -> float:
        started = time.perf_counter()
        for lr in rates:
            SeedLoop(SeedRecipe(lr=lr), images).train_epoch()
        return len(rates) * len(images) / (time.perf_counter() - started)

    return images_per_second


def _to_accuracy(setting: Setting) -> tuple[Side, Side]:
    """Train on all training images until the test images are classified well enough."""
    data = dataset(setting, 0.0)
    images = training_images(setting) if setting.smoke else data.train
    target, count = (0.8, 2) if len(images) >= _MANY_IMAGES else (0.7, 4)
    target = 0.0 if setting.smoke else target
    test = data.test.select(torch.arange(_FEW)) if setting.smoke else data.test

    def ours() -> float:
        started = time.perf_counter()
        shipped = load_job(recipe_path("speednet")).recipe
        # In so few epochs crops cost more than they teach.
        uncropped = tuple(each for each in shipped.augmentation if each.name != "pad_crop")
        short = {"epochs": count, "seed": setting.seed, "augmentation": uncropped}
        asked = shipped.model_copy(update=short)
        learner = Learner(asked, images, arithmetic(asked, images, setting, CPU))
        events = epochs(learner, None)
        spent = time.perf_counter() - started

        def epoch() -> None:
            while not isinstance(next(events), EpochRecord):
                pass

        race = _Race("ours", target, spent)
        race.run(
            epoch, lambda: evaluate(learner.model, test, World()).score("test").accuracy, count
        )
        setting.notes.append(race.note)
        if not race.is_won:
            raise Absent(f"ours did not reach {target:.0%} in {count} epochs.")
        return race.spent

    theirs = Apart(_reference_race, target, images, test)

    def reference() -> float:
        spent, note = theirs()
        setting.notes.append(note)
        return float(spent)

    return ours, reference


def _reference_race(target: float, images: Images, test: Images) -> Callable[[], tuple[float, str]]:
    def run() -> tuple[float, str]:
        asked = SeedRecipe({"name": "dilated_dsc"}, lr=0.1, epochs=_SEED_EPOCHS)
        loop = SeedLoop(asked, images)
        race = _Race("the reference (dilated_dsc, one cycle)", target, 0.0)
        race.run(loop.train_epoch, lambda: loop.accuracy(test), _SEED_EPOCHS)
        return race.spent, race.note

    return run


class _Race:
    """Seconds of training until an accuracy, without those of evaluating."""

    def __init__(self, name: str, target: float, spent: float) -> None:
        self.spent, self.is_won, self.note = spent, False, ""
        self._name, self._target = name, target

    def run(self, epoch: Callable[[], object], accuracy: Callable[[], float], most: int) -> None:
        """Train until the target, the last epoch or the limit of seconds; what it was is noted."""
        number, reached = 0, 0.0
        while number < most and self.spent < _LIMIT_SECONDS and not self.is_won:
            started = time.perf_counter()
            epoch()
            self.spent += time.perf_counter() - started
            number, reached = number + 1, accuracy()
            self.is_won = reached >= self._target
        end = "" if self.is_won else f", where it was stopped below {self._target:.0%}"
        self.note = f"{self._name}: {reached:.2%} after {number} epochs and {self.spent:.1f} s{end}"


ROWS = (
    *(
        Row(
            name=f"training_{name}",
            what=f"{name}, trained ÷ by the reference loop with its better number of workers",
            unit="images/s",
            goal=goal,
            sides=sides_of({"name": name}, lambda _: CPU, _WORKERS),
        )
        for name, goal in _GOALS.items()
    ),
    Row(
        name="sixteen_trials",
        what="16 trials of LeNet-5 one after another in a warm process ÷ as many reference loops",
        unit="images/s",
        goal=">= 7",
        sides=_trials,
    ),
    Row(
        name="time_to_80",
        what="seconds of training to 80 % (70 % on few images), speednet ÷ the reference",
        unit="s",
        goal="<= 0.0667",
        sides=_to_accuracy,
        higher_is_better=False,
        is_long=True,
    ),
)
