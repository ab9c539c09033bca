"""`tune`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cifar_dist.cli import options
from cifar_dist.cli.interrupts import stop_on_interrupt
from cifar_dist.cli.output import SweepProgress, emit, say
from cifar_dist.errors import RunError

if TYPE_CHECKING:
    from cifar_dist.cluster.tune import Trials
    from cifar_dist.config import Job
    from cifar_dist.documents import TuneDocument
    from cifar_dist.runs import Sweep
    from cifar_dist.search import Space

Name = Annotated[str, typer.Argument(metavar="SPACE", help="A shipped space or a file.")]
TrialCount = Annotated[
    int | None, typer.Option("--trials", help="How many, the base job included.")
]
FinalEpochs = Annotated[
    int | None, typer.Option("--final-epochs", help="Retrain the winner for this long.")
]
Refit = Annotated[bool, typer.Option("--refit", help="Retrain it on validation images, too.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tune")(_tune)


def _tune(
    space: Name = "quickstart",
    trials: TrialCount = None,
    epochs: options.Epochs = None,
    data: options.Data = None,
    seed: options.Seed = None,
    final_epochs: FinalEpochs = None,
    refit: Refit = False,
    store: options.Store = None,
    name: options.Name = None,
    sets: options.Set = None,
    fresh: options.Fresh = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Search a space with ASHA; the winner by validation is tested once and kept."""
    from cifar_dist.search import Space, space_path

    path = space_path(space)
    flags = {
        "recipe.epochs": epochs,
        "recipe.data": data,
        "recipe.seed": seed,
        "store": store,
        "name": name,
    }
    asked = Space.load(path).changed(options.overrides(flags, sets), trials)
    final = _final(asked.job, final_epochs, refit)
    title = asked.job.name or path.stem.replace("_", "-").lower()
    sweep, asked = _begun(asked, title, again=fresh)
    _finish(sweep, asked, final, json)


def _begun(space: "Space", title: str, *, again: bool) -> "tuple[Sweep, Space]":
    """Find or create the sweep in its store, once nothing that it needs is missing."""
    from cifar_dist.dataset import find
    from cifar_dist.store import open_store

    store = open_store(space.job.store)
    space = space.changed({"store": store.uri}, None)
    find(space.job.recipe.data)

    from cifar_dist.session import check_device, recipe_data
    from cifar_dist.sweep import start_sweep

    check_device(space.job.placement)
    facts = recipe_data(space.job).facts()
    return start_sweep(store, space, title, facts, again=again), space


def _final(job: "Job", epochs: int | None, refit: bool) -> dict[str, Any]:
    """Give what changes the winner's job for its retraining; checked before anything runs."""
    from cifar_dist.config import patched

    changes: dict[str, Any] = {}
    if epochs is not None:
        changes["recipe.epochs"] = epochs
    if refit:
        changes["recipe.validation_fraction"] = 0.0
    patched(job, changes)
    return changes


def _finish(sweep: "Sweep", space: "Space", final: dict[str, Any], json: bool) -> None:
    from cifar_dist.documents import TuneDocument

    name = sweep.prefix.rpartition("/")[2]
    if sweep.finished is not None:
        say(f"sweep {name} is finished; this is its result (--fresh runs it again)")
        document = TuneDocument.model_validate(sweep.finished)
    else:
        from cifar_dist.cluster.tune import sweep_trials
        from cifar_dist.outcome import publish_sweep

        say(f"sweep {name} in {sweep.store.uri}: {space.count} trials")
        progress = SweepProgress()
        with stop_on_interrupt() as stop:
            try:
                trials = sweep_trials(space, sweep, space.job, progress, stop)
            finally:
                progress.close()
        document = _document(sweep, space, trials, final)
        publish_sweep(sweep, document)
    emit(document, summary, json)
    if document.best is None:
        raise RunError(f"all {len(document.trials)} trials of sweep {name} failed; see their table")


def _document(
    sweep: "Sweep", space: "Space", trials: "Trials", final: dict[str, Any]
) -> "TuneDocument":
    from cifar_dist.config import patched
    from cifar_dist.outcome import compose_sweep
    from cifar_dist.search import rank
    from cifar_dist.session import recipe_data
    from cifar_dist.sweep import score_winner

    document = compose_sweep(sweep, space, trials.rows, trials.cost)
    best = rank(trials.rows)[0]
    if best.state == "failed":
        return document
    job = patched(space.job, best.parameters)
    found: dict[str, Any] = {"best": best.trial, "best_job": job.model_dump(mode="json")}
    if final:
        from cifar_dist.cli.train import run_job

        job = patched(job, {**final, "name": sweep.prefix.rpartition("/")[2]})
        say("retraining the winner")
        trained = run_job(job, again=False, resume=True)
        found |= {"winner_run": f"runs/{trained.run}", "validation": trained.validation}
        return document.model_copy(update={**found, "test": trained.test})
    run = sweep.trial(best.trial)
    validation, test = score_winner(run, job, recipe_data(space.job))
    found |= {"winner_run": run.prefix, "validation": validation, "test": test}
    return document.model_copy(update=found)


def summary(document: "TuneDocument") -> str:
    """Say which trial won, what it came to and how to fetch it."""
    from cifar_dist.report.tables import trials_table
    from cifar_dist.report.verdict import sweep_verdict

    where = f"{document.sweep} --store {document.store}"
    return "\n".join(
        [
            trials_table(document),
            "",
            *sweep_verdict(document),
            f"report: {document.store}/{document.artifacts['report']}",
            f"fetch:  cifar-dist artifacts get {where}",
            f"verify: cifar-dist artifacts verify {where}",
        ]
    )
