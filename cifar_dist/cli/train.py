"""`train` and `resume`."""

import os
import time
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from cifar_dist.cli import options
from cifar_dist.cli.interrupts import stop_on_interrupt
from cifar_dist.cli.output import TrainingProgress, emit, say
from cifar_dist.errors import ConfigError, DataError, InterruptedRunError, RunError

if TYPE_CHECKING:
    from cifar_dist.config import Job
    from cifar_dist.documents import TrainDocument
    from cifar_dist.runs import Run
    from cifar_dist.session import Result

File = Annotated[Path | None, typer.Argument(metavar="[JOB.yaml]", help="A job file.")]
BatchSize = Annotated[int | None, typer.Option("--batch-size", help="Images of a step.")]
Lr = Annotated[float | None, typer.Option("--lr", help="The optimizer's learning rate.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run if it was started.")]
Id = Annotated[str, typer.Argument(metavar="RUN", help="An id of `artifacts ls`.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("train")(_train)
    app.command("resume")(_resume)


def _train(
    file: File = None,
    model: options.Model = None,
    epochs: options.Epochs = None,
    batch_size: BatchSize = None,
    lr: Lr = None,
    data: options.Data = None,
    seed: options.Seed = None,
    workers: options.Workers = None,
    store: options.Store = None,
    name: options.Name = None,
    sets: options.Set = None,
    fresh: options.Fresh = False,
    resume: Resume = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Train one classifier; what it came to lies in the store, as checkpoints and a report."""
    if fresh and resume:
        raise ConfigError("--fresh starts again and --resume continues; give one of them")
    flags = {
        "recipe.model.name": model,
        "recipe.epochs": epochs,
        "recipe.batch_size": batch_size,
        "recipe.optimizer.lr": lr,
        "recipe.data": data,
        "recipe.seed": seed,
        "placement.workers": workers,
        "store": store,
        "name": name,
    }
    document = run_job(options.job_from(file, flags, sets), again=fresh, resume=resume)
    _conclude(document, json)


def _resume(
    run: Id,
    store: options.Store = None,
    workers: options.Workers = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Continue a run that was interrupted, from its newest intact checkpoint."""
    from cifar_dist.config import parse_job, patched
    from cifar_dist.runs import Run, locate
    from cifar_dist.store import open_store

    found = locate(open_store(store or options.DEFAULT_STORE), run)
    if not isinstance(found, Run):
        raise ConfigError(f"{run} is a sweep; only runs can be resumed, start it with --fresh")
    job = patched(parse_job(found.document["job"]), {"store": found.store.uri})
    if workers is not None:
        job = patched(job, {"placement.workers": workers})
    if found.finished is None:
        _check_unchanged(job, found)
    _conclude(_finished(job, found), json)


def _check_unchanged(job: "Job", run: "Run") -> None:
    from cifar_dist.session import check_device, recipe_data

    check_device(job.placement)
    if recipe_data(job).sha256 != run.document["data"]["sha256"]:
        raise DataError(
            f"the images of {job.recipe.data} changed since {run.prefix} began; bring them back, "
            "or train on the new ones with `cifar-dist train`"
        )


def run_job(job: "Job", *, again: bool, resume: bool) -> "TrainDocument":
    """Train a job to its end; a finished run is given back as it is."""
    from cifar_dist.config import patched
    from cifar_dist.dataset import find
    from cifar_dist.store import open_store

    store = open_store(job.store)
    job = patched(job, {"store": store.uri})
    find(job.recipe.data)

    from cifar_dist.outcome import start_run
    from cifar_dist.session import check_device, recipe_data

    check_device(job.placement)
    run = start_run(store, job, recipe_data(job).facts(), again=again, resume=resume)
    return _finished(job, run)


def _finished(job: "Job", run: "Run") -> "TrainDocument":
    from cifar_dist.documents import DataFacts, TrainDocument

    name = run.prefix.rpartition("/")[2]
    if run.finished is not None:
        say(f"run {name} is finished; this is its result (--fresh runs it again)")
        return TrainDocument.model_validate(run.finished)
    from cifar_dist.outcome import publish_run

    say(f"run {name} in {run.store.uri}")
    started = time.monotonic()
    result = _trained(job, run)
    facts = DataFacts.model_validate(run.document["data"])
    return publish_run(run, job, facts, result, time.monotonic() - started)


def _conclude(document: "TrainDocument", json: bool) -> None:
    """Print what a run came to; one that did not finish ends the program with its exit code."""
    emit(document, summary, json)
    name = document.run
    if document.state == "interrupted":
        raise InterruptedRunError(
            f"run {name} was interrupted and is committed; go on with `cifar-dist resume {name}`"
        )
    if document.state == "failed":
        raise RunError(f"run {name} diverged: its loss is not finite; lower recipe.optimizer.lr")


def _trained(job: "Job", run: "Run") -> "Result":
    progress = TrainingProgress(job.recipe.epochs)
    with stop_on_interrupt() as stop:
        try:
            if _in_process(job):
                return _train_here(job, run, progress, stop)
            from cifar_dist.cluster.train import train

            return train(job, run, progress, stop)
        finally:
            progress.close()


class _Local:
    """Progress and stop request of a session in this process."""

    def __init__(self, progress: TrainingProgress, stop: Event) -> None:
        self.observe = progress.observe
        self.stop_requested = stop.is_set


def _train_here(job: "Job", run: "Run", progress: TrainingProgress, stop: Event) -> "Result":
    from cifar_dist.session import train_here

    return train_here(job, run, _Local(progress, stop))


def _in_process(job: "Job") -> bool:
    if job.placement.workers is not None:
        return job.placement.workers == 0
    from cifar_dist.session import usable_gpus

    return "RAY_ADDRESS" not in os.environ and usable_gpus() <= 1


def summary(document: "TrainDocument") -> str:
    """Say what a run came to and how to fetch it."""
    from cifar_dist.report.verdict import run_verdict

    where = f"{document.run} --store {document.store}"
    return "\n".join(
        [
            *run_verdict(document),
            f"report: {document.store}/{document.artifacts['report']}",
            f"fetch:  cifar-dist artifacts get {where}",
            f"verify: cifar-dist artifacts verify {where}",
        ]
    )
