"""What reports are drawn from: what a store kept of a run or a sweep's winner, and its images."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cifar_dist.config import Job
from cifar_dist.data import Dataset, statistics
from cifar_dist.documents import EpochRecord, Split, TuneDocument
from cifar_dist.film import read_film
from cifar_dist.models.tables import describe
from cifar_dist.previews import augmentation_sheet, schedule
from cifar_dist.report.evidence import Evidence
from cifar_dist.runs import Run
from cifar_dist.scoring import Kept, kept
from cifar_dist.session import recipe_data
from cifar_dist.store import Store

T = TypeVar("T")
log = logging.getLogger(__name__)


def gather(run: Run, job: Job, dataset: Dataset, history: Sequence[EpochRecord] = ()) -> Evidence:
    """Collect what there is; what an older run lacks, is damaged or fails is left out."""
    recipe, splits = job.recipe, dataset.splits()
    found = _attempted(lambda: kept(run)) or Kept({})
    model = recipe.model.model_dump()
    makers: dict[str, Callable[[], Any]] = {
        "images": lambda: _pixels(dataset),
        "labels": lambda: {split: part.labels.numpy() for split, part in splits.items()},
        "film": lambda: read_film(run, dataset, recipe.seed),
        "augmented": lambda: augmentation_sheet(recipe, dataset.train),
        "model": lambda: describe(model.pop("name"), model),
        "statistics": lambda: [
            statistics(part, split, dataset.classes) for split, part in splits.items()
        ],
        "schedule": lambda: schedule(recipe, len(dataset.train), history),
    }
    made = {name: _attempted(make) for name, make in makers.items()}
    others = {name: part for name, part in made.items() if part is not None}
    return Evidence(predictions=found.predictions, maps=found.maps, **others)


def winners_evidence(store: Store, document: TuneDocument) -> Evidence:
    """Collect what a sweep's page shows of its winner; what is missing or fails is left out."""
    prefix, asked = document.winner_run, document.best_job
    if prefix is None or asked is None:
        return Evidence()
    found = _attempted(lambda: kept(Run(store, prefix))) or Kept({})
    images = _attempted(lambda: _pixels(recipe_data(Job.model_validate(asked)))) or {}
    return Evidence(found.predictions, images, maps=found.maps)


def _pixels(dataset: Dataset) -> dict[Split, NDArray[np.uint8]]:
    return {split: part.pixels.numpy() for split, part in dataset.splits().items()}


def _attempted(make: Callable[[], T]) -> T | None:
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - an illustration must not cost a trained run its result
        log.warning("left out of the report reason=%s", error)
        return None
