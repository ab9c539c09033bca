"""What chosen weights come to: every image predicted once, evaluated, and kept as evidence."""

from typing import NamedTuple

import torch
from torch import nn

from cifar_dist.data import Dataset, Images
from cifar_dist.documents import Evaluation, Split
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

EVIDENCE = "evidence"
"""The folders of a run that hold it, one for each time that it was evaluated."""
_PREDICTIONS = "predictions.npz"
_MAPS = "maps.npz"


class Scores(NamedTuple):
    """The evaluations of one model."""

    validation: Evaluation | None
    test: Evaluation


class Kept(NamedTuple):
    """What a store keeps of a run's predictions."""

    predictions: dict[Split, Predictions]
    maps: ActivationMaps | None = None
    """Of the test images that its report shows, each of its predicted class."""


def score(run: Run, model: nn.Module, dataset: Dataset, seed: int, world: World) -> Scores:
    """Evaluate a run's chosen weights on both splits; every rank calls this, the chief keeps it."""
    validation = None
    if dataset.validation is not None:
        validation = predict(model, dataset.validation, "validation", world)
    test = predict(model, dataset.test, "test", world)
    world.by_chief(lambda: _keep(run, model, dataset.test, seed, [validation, test]))
    classes = dataset.classes
    checked = None if validation is None else evaluated(validation, classes, validation)
    return Scores(checked, evaluated(test, classes, validation))


def kept(run: Run) -> Kept:
    """Read a run's newest evidence, verified; older runs have none. Raises DamagedError."""
    manifest = run.folder(EVIDENCE)
    if manifest is None:
        return Kept({})
    with scratch() as folder:
        manifest.download(run.store, folder)
        predictions = load_predictions(folder / _PREDICTIONS)
        return Kept(predictions, ActivationMaps.load(folder / _MAPS))


def _keep(
    run: Run, model: nn.Module, images: Images, seed: int, found: list[Predictions | None]
) -> None:
    *_, test = predictions = [part for part in found if part is not None]
    chosen = shown(galleries(test, seed))
    targets = torch.from_numpy(test.predicted[chosen])
    maps = activation_maps(model, images, torch.from_numpy(chosen), targets)
    with scratch() as folder:
        save_predictions(folder / _PREDICTIONS, predictions)
        maps.save(folder / _MAPS)
        run.write_folder(EVIDENCE, folder)
