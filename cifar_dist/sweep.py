"""A sweep's beginning and end: its identity, its winner and the one reading of the test split."""

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cifar_dist import __version__
from cifar_dist.checkpoint import WEIGHTS, load_weights
from cifar_dist.config import Job, patched
from cifar_dist.data import Dataset
from cifar_dist.device import device_for
from cifar_dist.documents import DataFacts
from cifar_dist.errors import RefusedError
from cifar_dist.learner import build_model
from cifar_dist.runs import Run, Sweep, fingerprint, fresh, identity
from cifar_dist.scoring import Asked, Scores, score
from cifar_dist.search import Space
from cifar_dist.store import Store
from cifar_dist.world import World

_LATER = {"rungs": "continue", "brackets": 1}  # as it was before a space could say so


def find_sweep(store: Store, space: Space, title: str, facts: DataFacts, *, again: bool) -> Sweep:
    """Find the sweep of a space, which may not exist yet; `again` looks for the next free id."""
    asked = sweep_document(space, facts)
    name = identity(title, fingerprint(_shaping(asked), facts.sha256))
    sweep = Sweep(store, f"sweeps/{name}")
    if again and sweep.exists:
        sweep = Sweep(store, f"sweeps/{fresh(store, 'sweeps', name)}")
    return sweep


def sweep_document(
    space: Space, facts: DataFacts, final: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Give what a sweep's head document says: the whole space, its data and its code.

    `final` changes the winner's job for its retraining.
    """
    return {
        "schema": "cifar-dist/sweep/1",
        "space": space.model_dump(mode="json"),
        "seed": space.job.recipe.seed,
        "data": facts.model_dump(mode="json"),
        "code_version": __version__,
        "final": dict(final or {}),
    }


def check_unchanged(store: Store, asked: dict[str, Any], title: str, *, finished: bool) -> None:
    """Raise RefusedError, with the difference, if there is a sweep of this title but another space.

    `asked` is the document of a sweep that does not exist; `finished` ones count only if told so.
    """
    named = re.compile(rf"{re.escape(title)}-[0-9a-f]{{8}}(-[1-9][0-9]{{0,5}})?")
    names = (name for name in store.folders("sweeps") if named.fullmatch(name))
    sweeps = [sweep for name in names if (sweep := Sweep(store, f"sweeps/{name}")).exists]
    found = [
        (differences(sweep.document, asked), sweep.name)
        for sweep in sweeps
        if finished or sweep.finished is None
    ]
    if found:
        lines, name = min(found, key=lambda item: len(item[0]))
        raise RefusedError(
            f"sweep {name} was begun with another space, so it cannot go on with this one:\n"
            + "\n".join(lines)
            + f"\nbring its space back, go on with `cifar-dist resume {name}`, or start another "
            "sweep with --fresh (in Python by fresh=True)"
        )


def differences(stored: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """Say path by path in what two sweeps' documents differ, as far as it shapes the results."""
    before, after = _flat(_compared(stored)), _flat(_compared(asked))
    return [
        f"{path}: {_written(before, path)} -> {_written(after, path)}"
        for path in sorted({*before, *after})
        if _written(before, path) != _written(after, path)
    ]


def score_winner(run: Run, job: Job, dataset: Dataset) -> Scores:
    """Evaluate a trial's best checkpoint on the validation and, this once, the test split."""
    best = run.best()
    if best is None:
        raise RefusedError(f"{run.prefix} has no best checkpoint; run the sweep again with --fresh")
    model = build_model(job.recipe.model, job.recipe.seed)
    with tempfile.TemporaryDirectory(prefix="cifar-dist-") as folder:
        run.download(best, Path(folder))
        load_weights(model, Path(folder) / WEIGHTS)
    model.to(device_for(patched(job, {"placement.gpus_per_worker": None}).placement))
    return score(run, model, dataset, Asked(job.recipe.seed, job.test), World())


def _shaping(asked: dict[str, Any]) -> dict[str, Any]:
    """Give what shapes a sweep's result; where it runs and what it is called do not."""
    asha = asked["space"]["asha"]
    same = {
        "job": asked["space"]["job"]["recipe"],
        "asha": asha and {name: value for name, value in asha.items() if _LATER.get(name) != value},
        # Under a larger budget a sweep goes on as the same one.
        "budget": {"seconds": None},
    }
    space = {**asked["space"], **same}
    del space["description"]
    return {"space": space, "seed": asked["seed"]}


def _compared(document: dict[str, Any]) -> dict[str, Any]:
    """Give what shapes a result in the words of a space's file."""
    space = _shaping(document)["space"]
    return {**space, "job": {"recipe": space["job"]}, "data.sha256": document["data"]["sha256"]}


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    found: dict[str, Any] = {}
    for key, inside in value.items():
        found |= _flat(inside, f"{path}.{key}" if path else key)
    return found


def _written(values: dict[str, Any], path: str) -> str:
    return json.dumps(values[path], sort_keys=True) if path in values else "nothing"
