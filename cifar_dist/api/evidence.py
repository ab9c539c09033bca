"""What a run's report is drawn from: what its store kept, its images and its recipe."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from cifar_dist.config import Job
from cifar_dist.data import Dataset, statistics
from cifar_dist.documents import EpochRecord
from cifar_dist.errors import CifarDistError
from cifar_dist.film import read_film
from cifar_dist.models.tables import describe
from cifar_dist.previews import augmentation_sheet, schedule
from cifar_dist.report.evidence import Evidence
from cifar_dist.runs import Run
from cifar_dist.scoring import Kept, kept

T = TypeVar("T")
log = logging.getLogger(__name__)


def gather(run: Run, job: Job, dataset: Dataset, history: Sequence[EpochRecord] = ()) -> Evidence:
    """Collect what there is; what an older run lacks or what is damaged is left out."""
    recipe, splits = job.recipe, dataset.splits()
    found = _readable(lambda: kept(run)) or Kept({})
    model = recipe.model.model_dump()
    return Evidence(
        predictions=found.predictions,
        images={split: images.pixels.numpy() for split, images in splits.items()},
        labels={split: images.labels.numpy() for split, images in splits.items()},
        maps=found.maps,
        film=_readable(lambda: read_film(run, dataset, recipe.seed)),
        augmented=augmentation_sheet(recipe, dataset.train),
        model=describe(model.pop("name"), model),
        statistics=[statistics(part, split, dataset.classes) for split, part in splits.items()],
        schedule=schedule(recipe, len(dataset.train), history),
    )


def _readable(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except CifarDistError as error:
        log.warning("left out of the report reason=%s", error)
        return None
