"""A sweep's beginning and end: its identity, its winner and the one reading of the test split."""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cifar_dist import __version__
from cifar_dist.config import Job, patched
from cifar_dist.data import Dataset
from cifar_dist.documents import DataFacts, Evaluation, Score
from cifar_dist.errors import RefusedError
from cifar_dist.learner import WEIGHTS, build_model, load_weights
from cifar_dist.loop import evaluate
from cifar_dist.runs import Run, Sweep, fingerprint, fresh, identity
from cifar_dist.search import Observation, Space
from cifar_dist.session import device_for, test_evaluation
from cifar_dist.store import Store
from cifar_dist.world import World


def find_sweep(store: Store, space: Space, title: str, facts: DataFacts, *, again: bool) -> Sweep:
    """Find the sweep of a space, a finished one or one that does not exist yet.

    Raises RefusedError for an unfinished one unless `again`.
    """
    asked = sweep_document(space, facts)
    name = identity(title, fingerprint(_shaping(asked), facts.sha256))
    sweep = Sweep(store, f"sweeps/{name}")
    if again and sweep.exists:
        sweep = Sweep(store, f"sweeps/{fresh(store, 'sweeps', name)}")
    if sweep.exists and sweep.finished is None:
        raise RefusedError(
            f"sweep {name} was started before and is not finished; start it again with --fresh "
            "(in Python by fresh=True)"
        )
    return sweep


def sweep_document(space: Space, facts: DataFacts) -> dict[str, Any]:
    """Give what a sweep's head document says: the whole space, its data and its code."""
    return {
        "schema": "cifar-dist/sweep/1",
        "space": space.model_dump(mode="json"),
        "seed": space.job.recipe.seed,
        "data": facts.model_dump(mode="json"),
        "code_version": __version__,
    }


def score_winner(run: Run, job: Job, dataset: Dataset) -> tuple[Score | None, Evaluation]:
    """Evaluate a trial's best checkpoint on the validation and, this once, the test split."""
    best = run.best()
    if best is None:
        raise RefusedError(f"{run.prefix} has no best checkpoint; run the sweep again with --fresh")
    model = build_model(job.recipe.model, job.recipe.seed)
    with tempfile.TemporaryDirectory(prefix="cifar-dist-") as folder:
        run.download(best, Path(folder))
        load_weights(model, Path(folder) / WEIGHTS)
    model.to(device_for(patched(job, {"placement.gpus_per_worker": None}).placement))
    validation = None
    if dataset.validation is not None:
        validation = evaluate(model, dataset.validation, World()).score("validation")
    return validation, test_evaluation(evaluate(model, dataset.test, World()), dataset)


class Seen:
    """What a sampler may know of a sweep's trials, folded from the ledger's events one by one."""

    def __init__(self) -> None:
        self._trials: dict[int, Observation] = {}

    @property
    def observations(self) -> list[Observation]:
        """One for each trial, in the order they were asked for."""
        return list(self._trials.values())

    def add(self, event: Mapping[str, Any]) -> None:
        """Take in a start, an epoch or an end; a rung says what its epoch said."""
        number = event["trial"]
        known = self._trials.get(number)
        if event["event"] == "start":
            values = known.values if known else {}
            self._trials[number] = Observation(number, event["overrides"], "running", values)
        elif known and event["event"] == "epoch" and event["validation_accuracy"] is not None:
            values = {**known.values, event["epoch"]: event["validation_accuracy"]}
            self._trials[number] = replace(known, values=values)
        elif known and event["event"] == "end":
            score = event["validation_accuracy"]
            self._trials[number] = replace(known, state=event["state"], score=score)


def observations(events: Iterable[Mapping[str, Any]]) -> list[Observation]:
    """Give what a sampler knew after these events of a ledger: as it was, or for a restart."""
    seen = Seen()
    for event in events:
        seen.add(event)
    return seen.observations


def _shaping(asked: dict[str, Any]) -> dict[str, Any]:
    """Give what shapes a sweep's result; where it runs and what it is called do not."""
    space = {**asked["space"], "job": asked["space"]["job"]["recipe"]}
    del space["description"]
    return {"space": space, "seed": asked["seed"]}
