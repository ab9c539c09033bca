"""What a trial trains: one training, or a complete one for each rung, in one run's attempts."""

from collections.abc import Sequence
from typing import Any

from cifar_dist.config import Job
from cifar_dist.documents import EpochRecord, best_epoch
from cifar_dist.runs import Run
from cifar_dist.search import trainings

WORST = 0.0
"""The accuracy of a trial that has none: finite, as ASHA never stops what is not a number."""


def judged(history: Sequence[EpochRecord], training: int | None) -> float:
    """Give what ASHA compares: a complete training's score, or else the last epoch's accuracy."""
    last = history[best_epoch(history) - 1] if training else history[-1]
    return last.validation_accuracy or WORST


def due(run: Run, job: Job, config: dict[str, Any]) -> int:
    """Give the length of the training that a trial is to begin or to go on with.

    Its newest attempt says which one it was at; `past` of the config is the one whose end was told.
    """
    lengths = trainings(config["restarts"], job.recipe.epochs)
    claimed = run.training or 0
    if claimed > config.get("past", 0):
        return claimed
    return next(length for length in lengths if length > claimed)


def shortened(job: Job, epochs: int) -> Job:
    """Give the job of a complete training of so many epochs; its warm-up takes the same share."""
    recipe = job.recipe
    fewer = {"epochs": epochs, "warmup_epochs": recipe.warmup_epochs * epochs / recipe.epochs}
    return job.model_copy(update={"recipe": recipe.model_copy(update=fewer)})
