"""What chosen weights come to: every image predicted once, evaluated, and kept as evidence."""

import logging
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from cifar_dist.data import Dataset, Images
from cifar_dist.documents import Evaluation, Split
from cifar_dist.errors import ConfigError
from cifar_dist.evidence import (
    ActivationMaps,
    Predictions,
    galleries,
    load_predictions,
    save_predictions,
    shown,
)
from cifar_dist.explain import activation_maps
from cifar_dist.loop import predict
from cifar_dist.report.evaluation import evaluated
from cifar_dist.runs import Run
from cifar_dist.store.disk import scratch
from cifar_dist.world import World

log = logging.getLogger(__name__)
EVIDENCE = "evidence"
"""The folders of a run that hold it, one for each time that it was evaluated."""
_PREDICTIONS = "predictions.npz"
_MAPS = "maps.npz"


def _unfenced() -> None:
    pass


class Asked(NamedTuple):
    """How a model is evaluated and kept."""

    seed: int
    """Draws the images that a report shows."""
    test: bool = True
    """Whether the test split is read."""
    check_fence: Callable[[], None] = _unfenced
    """Raises RefusedError, at the chief alone, where another process goes on with the run."""


class Scores(NamedTuple):
    """The evaluations of one model."""

    validation: Evaluation | None
    test: Evaluation | None


class Kept(NamedTuple):
    """What a store keeps of a run's predictions."""

    predictions: dict[Split, Predictions]
    maps: ActivationMaps | None = None
    """Of the test images that its report shows, each of its predicted class."""


def score(run: Run, model: nn.Module, dataset: Dataset, asked: Asked, world: World) -> Scores:
    """Evaluate a run's chosen weights; every rank calls this, the chief keeps it.

    Raises RefusedError when fenced.
    """
    validation = test = None
    if dataset.validation is not None:
        validation = predict(model, dataset.validation, "validation", world)
    if asked.test:
        test = predict(model, dataset.test, "test", world)

    def keep() -> None:
        maps = None if test is None else _maps(model, dataset.test, test, asked.seed)
        asked.check_fence()
        _keep(run, [part for part in (validation, test) if part is not None], maps)

    world.by_chief(keep)
    found = (
        None if part is None else evaluated(part, dataset.classes, validation)
        for part in (validation, test)
    )
    return Scores(*found)


def kept(run: Run) -> Kept:
    """Read a run's newest evidence, verified; older runs have none. Raises DamagedError."""
    manifest = run.folder(EVIDENCE)
    if manifest is None:
        return Kept({})
    with scratch() as folder:
        manifest.download(run.store, folder)
        predictions = load_predictions(folder / _PREDICTIONS)
        maps = ActivationMaps.load(folder / _MAPS) if _MAPS in manifest.files else None
        return Kept(predictions, maps)


def _maps(
    model: nn.Module, images: Images, predictions: Predictions, seed: int
) -> ActivationMaps | None:
    chosen = shown(galleries(predictions, seed))
    targets = torch.from_numpy(predictions.predicted[chosen])
    try:
        return activation_maps(model, images, torch.from_numpy(chosen), targets)
    except ConfigError as error:
        log.warning("no maps are kept reason=%s", error)
        return None


def _keep(run: Run, predictions: list[Predictions], maps: ActivationMaps | None) -> None:
    if not predictions:
        return
    with scratch() as folder:
        save_predictions(folder / _PREDICTIONS, predictions)
        if maps is not None:
            maps.save(folder / _MAPS)
        run.write_folder(EVIDENCE, folder)
