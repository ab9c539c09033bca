"""Weights with all that is known of them: of a run, a sweep's winner, a copy or the package."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cifar_dist.api import model as models
from cifar_dist.documents import (
    DataFacts,
    Provenance,
    Score,
    TrainDocument,
    TuneDocument,
    WeightsDocument,
)
from cifar_dist.errors import ConfigError, DataError
from cifar_dist.problems import shown
from cifar_dist.runs.copies import WINNER, is_retrained
from cifar_dist.runs.manifest import NAME

if TYPE_CHECKING:
    from torch import nn

    from cifar_dist.config import Recipe


@dataclass(frozen=True)
class Origin:
    """A model in eval mode, on the CPU, and where it comes from."""

    name: str
    """Of a run, a sweep or an architecture."""
    model: "nn.Module"
    recipe: Mapping[str, Any]
    data: DataFacts
    provenance: Provenance | None = None
    """None for a run that is not finished, as are the scores."""
    validation: Score | None = None
    test: Score | None = None
    epoch: int | None = None
    """Whose weights these are, where that is known."""
    s3: Mapping[str, Any] = field(default_factory=dict)
    """How its run reached S3."""

    @property
    def parsed(self) -> "Recipe":
        """Its recipe, checked. Raises ConfigError."""
        from cifar_dist.config import parse_job

        return parse_job({"recipe": dict(self.recipe)}).recipe

    def placed(self) -> "nn.Module":
        """Give the model on a GPU if there is one, else with all CPUs that this process owns."""
        import torch

        from cifar_dist.config import Placement
        from cifar_dist.device import device_for
        from cifar_dist.machine import owned_cpus

        torch.set_num_threads(owned_cpus())
        return self.model.to(device_for(Placement()))

    @property
    def has_read_test(self) -> bool:
        """Whether its result was read from the test split; so it counts while there is none."""
        return self.provenance is None or self.test is not None


def origin(name: str, store: str) -> Origin:
    """Find weights: an id in the store, STORE/runs/ID, a fetched folder or an architecture's name.

    An architecture's are those that come with the package. Raises CifarDistError.
    """
    from cifar_dist.config import components

    folder = models.fetched(name)
    if folder is None and name in components()["recipe.model"].names:
        return _packaged(name)
    with _copy(name, folder, store) as copy:
        return _from_copy(copy)


@contextmanager
def _copy(name: str, folder: Path | None, store: str) -> Iterator[Path]:
    from cifar_dist.runs import fetch_model
    from cifar_dist.store import open_store
    from cifar_dist.store.disk import scratch

    if folder is not None:
        yield folder
        return
    uri, kind, found = _address(name, store)
    if kind not in ("runs", "sweeps"):
        raise ConfigError(
            f"{shown(name)} names no model; give the id of a run or sweep in --store, "
            "STORE/runs/ID, the folder of `cifar-dist artifacts get`, or an architecture's name"
        )
    with scratch() as place:
        fetch_model(open_store(uri), found, place / "copy")
        yield place / "copy"


def _address(name: str, store: str) -> tuple[str, str, str]:
    head, _, last = name.rstrip("/").rpartition("/")
    uri, _, kind = head.rpartition("/")
    return (uri, kind, last) if "/" in name.rstrip("/") else (store, "runs", last)


def _from_copy(folder: Path) -> Origin:
    model = models.load_model(folder)
    try:
        if (folder / "sweep.json").exists():
            return _searched(folder, model)
        return _trained(folder, model)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"the documents in {folder} are not those of a run; fetch it again with "
            "`cifar-dist artifacts get`"
        ) from error


def _trained(folder: Path, model: "nn.Module") -> Origin:
    head = json.loads((folder / "run.json").read_bytes())
    facts = {
        "model": model,
        "recipe": head["job"]["recipe"],
        "data": DataFacts.model_validate(head["data"]),
        "s3": head["job"].get("s3") or {},
    }
    if not (folder / "result.json").exists():
        return Origin(name=_run_name(folder), **facts)
    document = TrainDocument.model_validate_json((folder / "result.json").read_bytes())
    return Origin(
        name=document.run,
        provenance=document.provenance,
        validation=document.validation,
        test=document.test.score if document.test else None,
        epoch=document.best_epoch,
        **facts,
    )


def _searched(folder: Path, model: "nn.Module") -> Origin:
    document = TuneDocument.model_validate_json((folder / "result.json").read_bytes())
    if is_retrained(document.winner_run or ""):
        return replace(_trained(folder / WINNER, model), name=document.sweep)
    job = document.best_job or {}
    winner = next(trial for trial in document.trials if trial.trial == document.best)
    return Origin(
        name=document.sweep,
        model=model,
        recipe=job["recipe"],
        data=document.data,
        provenance=document.provenance,
        validation=document.validation,
        test=document.test.score if document.test else None,
        epoch=winner.best_epoch,
        s3=job.get("s3") or {},
    )


def _packaged(name: str) -> Origin:
    model = models.load_model(name, pretrained=True)
    facts = (models.PACKAGED / f"{name}.json").read_bytes()
    document = WeightsDocument.model_validate_json(facts)
    return Origin(
        name=name,
        model=model,
        recipe=document.recipe,
        data=document.data,
        provenance=document.provenance,
        validation=document.validation,
        test=document.test,
    )


def _run_name(folder: Path) -> str:
    # The only place where an unfinished run says what it is called.
    return str(json.loads((folder / NAME).read_bytes())["folder"]).split("/")[1]
