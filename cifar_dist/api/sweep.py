"""A sweep from its space to its document: begun or found again, searched, its winner tested."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cifar_dist.api.budget import allow, allowed, check_priced, ended_note
from cifar_dist.api.run import address, check_ended, check_images, run_job
from cifar_dist.errors import (
    ConfigError,
    InterruptedRunError,
    RefusedError,
    RunError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

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


class Again(NamedTuple):
    """What to do about a sweep that exists; by itself a finished one is shown again."""

    fresh: bool = False
    """Leave it and begin another one."""
    resume: bool = False
    """Continue it."""
    extend: int | None = None
    """Add so many trials to it."""


SHOWN = Again()
"""Show a finished one, and refuse an unfinished one."""


def run_sweep(
    space: "Space", final: dict[str, Any], follower: "Follower", again: Again = SHOWN
) -> "TuneDocument":
    """Search a space, which its job names, to its end; a finished sweep is given back as it is.

    `final` changes the winner's job for its retraining; empty, the winner is kept as it is. Raises
    RefusedError for an unfinished sweep unless `again` says what to do.
    """
    from cifar_dist.config import patched
    from cifar_dist.dataset import find
    from cifar_dist.store import open_store

    _check_either(again)
    check_priced(space)
    patched(space.job, final)
    space.check_retraining(final)
    store = open_store(space.job.store, space.job.s3)
    find(space.job.recipe.data, s3=space.job.s3)
    space = space.changed(address(store, space.job), None)

    from cifar_dist.device import check_device
    from cifar_dist.session import recipe_data
    from cifar_dist.sweep import check_unchanged, find_sweep, sweep_document

    check_device(space.job.placement)
    facts = recipe_data(space.job).facts()
    sweep = find_sweep(store, space, space.job.title, facts, again=again.fresh)
    if not sweep.exists:
        document = sweep_document(space, facts, final)
        if again.resume or again.extend:
            check_unchanged(store, document, space.job.title, finished=again.extend is not None)
        _begin(sweep, space, document, again)
    elif again.extend is not None:
        _extend(sweep, space, final, again)
    else:
        if sweep.finished is None:
            _check_continued(sweep, final, again)
        if again.resume:
            allow(sweep, space)
    return _finished(sweep, space, follower)


def continue_sweep(
    sweep: "Sweep",
    follower: "Follower",
    placement: "Mapping[str, Any]",
    budget: "Mapping[str, Any] | None" = None,
) -> "TuneDocument":
    """Continue a sweep as it is stored, but for some of its job's fields that say where it runs.

    `budget` replaces parts of what it may spend. Raises DataError on other images.
    """
    from cifar_dist.runs import Sweep
    from cifar_dist.search import Space
    from cifar_dist.store import reopened

    stored = sweep.document
    space = Space.parse(stored["space"])
    sweep = Sweep(reopened(sweep.store, space.job.s3), sweep.prefix)
    space = space.changed({**address(sweep.store, space.job), **placement}, None)
    if budget:
        space = allowed(space, sweep.goal).allowed(budget)
        check_priced(space)
        allow(sweep, space)
    if sweep.finished is None:
        instead = "search on the new ones with `cifar-dist tune`"
        check_images(space.job, stored["data"], f"sweep {sweep.name}", instead)
    return _finished(sweep, space, follower)


def check_won(document: "TuneDocument") -> None:
    """Raise RunError if there is no winner."""
    if document.best is None:
        count = len(document.trials)
        raise RunError(f"all {count} trials of sweep {document.sweep} failed; see their table")


def _check_either(again: Again) -> None:
    if again.fresh and (again.resume or again.extend is not None):
        raise ConfigError(
            "--fresh starts another sweep, while --resume and --extend go on with the one that is "
            "there; give one of them"
        )
    if again.extend is not None and again.extend < 1:
        raise ConfigError(f"extend={again.extend}: must be at least 1 trial")


def _begin(sweep: "Sweep", space: "Space", document: dict[str, Any], again: Again) -> None:
    if again.extend is not None:
        raise ConfigError(
            f"there is no sweep {sweep.name} in {sweep.store.uri} to extend; begin it without "
            "--extend, or name its store with --store"
        )
    from cifar_dist.cluster.slots import check_here

    check_here(space.job.placement)
    sweep.create(document)


def _check_continued(sweep: "Sweep", final: dict[str, Any], again: Again) -> None:
    name = sweep.name
    if not again.resume:
        raise RefusedError(
            f"sweep {name} was started before and is not finished; continue it with "
            f"`cifar-dist resume {name}`, or start again with --fresh (in Python by resume=True "
            "or fresh=True)"
        )
    if final and final != sweep.goal.final:
        raise RefusedError(
            f"sweep {name} was begun with another retraining of its winner; leave --refit and "
            "--final-epochs out to go on as it was begun, or start again with --fresh"
        )


def _extend(sweep: "Sweep", space: "Space", final: dict[str, Any], again: Again) -> None:
    from cifar_dist.search.checks import MAX_TRIALS
    from cifar_dist.tally import Tally

    goal, more, is_finished = sweep.goal, again.extend or 0, sweep.finished is not None
    if again.resume and not is_finished and goal.added == more:
        _check_continued(sweep, final, again)  # asked for before, and cut short
        return
    tally = Tally(sweep.events())
    begun = len(tally.overrides)
    # What a spent budget left out of a finished sweep is not made up for.
    planned = begun if is_finished else goal.trials or space.count
    left = min(space.untried(tally.overrides.values()) - (planned - begun), MAX_TRIALS - planned)
    if more > left:
        raise ConfigError(
            f"extend={more}: sweep {sweep.name} can have {max(0, left):.0f} more trials, as none "
            f"is tried twice and {MAX_TRIALS:,} are the most; ask for fewer, or widen the space"
        )
    asked = replace(
        goal,
        extension=goal.extension + 1,
        trials=planned + more,
        added=more,
        final=final or goal.final,
        budget=space.budget.model_dump(mode="json"),
    )
    if is_finished:
        asked = replace(
            asked,
            spent_seconds=tally.wall_seconds,
            spent_cpu_seconds=tally.cpu_seconds,
            spent_gpu_seconds=tally.gpu_seconds,
        )
    sweep.extend(asked)


def _finished(sweep: "Sweep", space: "Space", follower: "Follower") -> "TuneDocument":
    from cifar_dist.documents import TuneDocument

    if (stored := sweep.finished) is not None:
        follower.note(ended_note(sweep.name, stored.get("ended_by")))
        return TuneDocument.model_validate({**stored, "confirmed": sweep.confirmed})
    from cifar_dist.api.evidence import winners_evidence
    from cifar_dist.cluster.tune import sweep_trials
    from cifar_dist.outcome import publish_sweep

    goal = sweep.goal
    space = allowed(space, goal)
    follower.note(f"sweep {sweep.name} in {sweep.store.uri}: {goal.trials or space.count} trials")
    with follower.sweep(sweep.name, space) as progress, follower.stopping() as stop:
        trials = sweep_trials(space, sweep, progress, stop)
    document = _document(sweep, space, trials, goal.final, follower)
    publish_sweep(sweep, document, winners_evidence(sweep.store, document), goal.extension)
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
    held = {"slots": trials.slots, "spans": trials.spans, "ended_by": trials.ended_by}
    document = document.model_copy(update=held)
    best = rank(trials.rows)[0]
    if best.state == "failed":
        return document
    job = patched(space.job, best.parameters)
    found = {"best": best.trial, "best_job": job.model_dump(mode="json")}
    if final:
        found |= _retrained(sweep, patched(job, {**final, "name": sweep.name}), follower)
    else:
        found |= _scored(sweep, best.trial, job)
    return document.model_copy(update=found)


def _retrained(sweep: "Sweep", job: "Job", follower: "Follower") -> dict[str, Any]:
    follower.note("retraining the winner")
    trained = run_job(job, follower, resume=True)
    if trained.state == "interrupted":
        raise InterruptedRunError(
            f"sweep {sweep.name} was interrupted while its winner was retrained, which is "
            f"committed; go on with `cifar-dist resume {sweep.name}`, or in Python by resume=True"
        )
    check_ended(trained)
    return {
        "winner_run": f"runs/{trained.run}",
        "validation": trained.validation,
        "test": trained.test,
        "validation_evaluation": trained.validation_evaluation,
    }


def _scored(sweep: "Sweep", trial: int, job: "Job") -> dict[str, Any]:
    from cifar_dist.documents import TuneDocument
    from cifar_dist.session import recipe_data
    from cifar_dist.sweep import score_winner

    run = sweep.trial(trial)
    if (stored := sweep.result) is not None and stored["winner_run"] == run.prefix:
        known = TuneDocument.model_validate(stored)  # the test split is not read again
        validation, test = known.validation_evaluation, known.test
    else:
        validation, test = score_winner(run, job, recipe_data(job))
    return {
        "winner_run": run.prefix,
        "validation": validation.score if validation else None,
        "test": test,
        "validation_evaluation": validation,
    }
