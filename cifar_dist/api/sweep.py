"""A sweep from its space to its document: begun or found again, searched, its winner tested."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cifar_dist.api.run import check_ended, run_job
from cifar_dist.errors import RunError

if TYPE_CHECKING:
    from cifar_dist.api.follower import Follower
    from cifar_dist.cluster.tune import Trials
    from cifar_dist.config import Job
    from cifar_dist.documents import TuneDocument
    from cifar_dist.runs import Sweep
    from cifar_dist.search import Space


def named(space: "Space", path: Path) -> "Space":
    """Name a sweep after its space's file unless its job has a name. Raises ConfigError."""
    if space.job.name is not None:
        return space
    return space.changed({"name": path.stem.replace("_", "-").lower()}, None)


def run_sweep(
    space: "Space", final: dict[str, Any], follower: "Follower", *, again: bool = False
) -> "TuneDocument":
    """Search a space, which its job names, to its end; a finished sweep is given back as it is.

    `final` changes the winner's job for its retraining; empty, the winner is kept as it is.
    """
    from cifar_dist.config import patched
    from cifar_dist.dataset import find
    from cifar_dist.store import open_store

    patched(space.job, final)
    space.check_retraining(final)
    store = open_store(space.job.store)
    space = space.changed({"store": store.uri}, None)
    find(space.job.recipe.data)

    from cifar_dist.session import check_device, recipe_data
    from cifar_dist.sweep import find_sweep, sweep_document

    check_device(space.job.placement)
    facts = recipe_data(space.job).facts()
    sweep = find_sweep(store, space, space.job.title, facts, again=again)
    if not sweep.exists:
        from cifar_dist.cluster.slots import check_here

        check_here(space.job.placement)
        sweep.create(sweep_document(space, facts))
    return _finished(sweep, space, final, follower)


def check_won(document: "TuneDocument") -> None:
    """Raise RunError if there is no winner."""
    if document.best is None:
        count = len(document.trials)
        raise RunError(f"all {count} trials of sweep {document.sweep} failed; see their table")


def _finished(
    sweep: "Sweep", space: "Space", final: dict[str, Any], follower: "Follower"
) -> "TuneDocument":
    from cifar_dist.documents import TuneDocument

    name = sweep.prefix.rpartition("/")[2]
    if sweep.finished is not None:
        follower.note(f"sweep {name} is finished; this is its result (--fresh runs it again)")
        return TuneDocument.model_validate(sweep.finished)
    from cifar_dist.cluster.tune import sweep_trials
    from cifar_dist.outcome import publish_sweep

    follower.note(f"sweep {name} in {sweep.store.uri}: {space.count} trials")
    with follower.sweep() as progress, follower.stopping() as stop:
        trials = sweep_trials(space, sweep, progress, stop)
    document = _document(sweep, space, trials, final, follower)
    publish_sweep(sweep, document)
    return document


def _document(
    sweep: "Sweep",
    space: "Space",
    trials: "Trials",
    final: dict[str, Any],
    follower: "Follower",
) -> "TuneDocument":
    from cifar_dist.config import patched
    from cifar_dist.outcome import compose_sweep
    from cifar_dist.search import rank

    document = compose_sweep(sweep, space, trials.rows, trials.cost)
    best = rank(trials.rows)[0]
    if best.state == "failed":
        return document
    job = patched(space.job, best.parameters)
    found = {"best": best.trial, "best_job": job.model_dump(mode="json")}
    if final:
        name = sweep.prefix.rpartition("/")[2]
        found |= _retrained(patched(job, {**final, "name": name}), follower)
    else:
        found |= _scored(sweep, best.trial, job)
    return document.model_copy(update=found)


def _retrained(job: "Job", follower: "Follower") -> dict[str, Any]:
    follower.note("retraining the winner")
    trained = run_job(job, follower, resume=True)
    check_ended(trained)
    return {
        "winner_run": f"runs/{trained.run}",
        "validation": trained.validation,
        "test": trained.test,
    }


def _scored(sweep: "Sweep", trial: int, job: "Job") -> dict[str, Any]:
    from cifar_dist.session import recipe_data
    from cifar_dist.sweep import score_winner

    run = sweep.trial(trial)
    validation, test = score_winner(run, job, recipe_data(job))
    return {"winner_run": run.prefix, "validation": validation, "test": test}
