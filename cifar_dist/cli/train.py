"""`train` and `resume`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cifar_dist.cli import completion, options
from cifar_dist.cli.commands import add
from cifar_dist.cli.lr_find import DEFAULT_OUTPUT, find_lr
from cifar_dist.cli.metered import following
from cifar_dist.cli.output import emit
from cifar_dist.cli.tune import Concurrency, MaxCost, MaxHours, conclude, limits
from cifar_dist.errors import ConfigError

if TYPE_CHECKING:
    from cifar_dist.config import Job
    from cifar_dist.documents import TrainDocument

JobFile = Annotated[
    str | None,
    typer.Argument(
        metavar="JOB",
        help="A shipped recipe's name, a YAML file, or - for stdin.",
        autocompletion=completion.jobs,
    ),
]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", metavar="N", help="Images of a step, of all workers.")
]
Lr = Annotated[
    float | None, typer.Option("--lr", metavar="RATE", help="The optimizer's learning rate.")
]
Unfinished = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="A run or sweep of `artifacts ls`.", autocompletion=completion.runs
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run if it was started.")]
LrFind = Annotated[
    bool, typer.Option("--lr-find", help="Only look for a learning rate, in this process.")
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", metavar="PNG", help="Picture that --lr-find writes; lr-find.png by default."
    ),
]

_TRAIN = (
    "train",
    "train resnet18_cam --data cifar10 --store s3://my-bucket/team",
    "train --model lenet5 --epochs 20 --lr 0.002 --set recipe.optimizer.name=adam",
    "train job.yaml --workers 2 --json",
    "train --model lenet5 --lr-find",
)
_RESUME = (
    "resume speednet-1a2b3c4d",
    "resume speednet-1a2b3c4d --workers 2",
    "resume quickstart-1a2b3c4d --store s3://my-bucket/team --concurrency 4",
    "resume dropout-1a2b3c4d --max-hours 3",
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    add(app, "train", _train, *_TRAIN)
    add(app, "resume", _resume, *_RESUME)


def _train(
    command: typer.Context,
    job: JobFile = None,
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
    lr_find: LrFind = False,
    output: Output = None,
    metrics_port: options.MetricsPort = None,
    log_format: options.LogFormat = None,
    allow_insecure: options.AllowInsecure = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Train one classifier. Its checkpoints and its report lie in the store.

    A job is its recipe, and each flag changes one of its fields. Without workers it trains in
    this process, else by Ray Train on as many; the result is the same. Asked again, a finished
    run prints its result at once. Ctrl-C commits what there is.
    """
    if fresh and resume:
        raise ConfigError("--fresh starts again and --resume continues; give one of them")
    if output is not None and not lr_find:
        raise ConfigError("--output is where --lr-find writes; runs lie in the --store")
    if lr_find and metrics_port is not None:
        raise ConfigError("--lr-find takes a moment and is not metered; leave out --metrics-port")
    asked = options.job_from(job, command)
    if lr_find:
        find_lr(asked, output or DEFAULT_OUTPUT, json)
        return
    _conclude(_trained(asked, metrics_port, fresh=fresh, resume=resume), json)


def _trained(job: "Job", metrics_port: int | None, *, fresh: bool, resume: bool) -> "TrainDocument":
    from cifar_dist.api.run import run_job

    with following(metrics_port) as follower:
        return run_job(job, follower, again=fresh, resume=resume)


def _resume(
    command: typer.Context,
    name: Unfinished,
    store: options.Store = None,
    workers: options.Workers = None,
    concurrency: Concurrency = None,
    max_hours: MaxHours = None,
    max_cost: MaxCost = None,
    metrics_port: options.MetricsPort = None,
    log_format: options.LogFormat = None,
    allow_insecure: options.AllowInsecure = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Continue a run from its newest intact checkpoint, or a sweep with its unfinished trials.

    What is stored is the truth: nothing but the count of workers and of trials at once and a
    sweep's budget can be changed, and the images must be the same. What is finished prints its
    result; what a budget ended goes on under a larger one.
    """
    budget = limits(command.params)
    from cifar_dist.runs import Run, locate
    from cifar_dist.store import open_store

    found = locate(open_store(store or options.DEFAULT_STORE), name)
    if isinstance(found, Run):
        _check_of_a_run(name, concurrency, budget)
    with following(metrics_port) as follower:
        if not isinstance(found, Run):
            from cifar_dist.api.sweep import continue_sweep

            given = {"placement.workers": workers, "placement.concurrency": concurrency}
            placement = {path: value for path, value in given.items() if value is not None}
            conclude(continue_sweep(found, follower, placement, budget), json)
            return
        from cifar_dist.api.run import continue_run

        _conclude(continue_run(found, follower, workers), json)


def _check_of_a_run(name: str, concurrency: int | None, budget: dict[str, int | float]) -> None:
    if concurrency is not None:
        raise ConfigError(f"--concurrency={concurrency}: {name} is a run; only sweeps have trials")
    if budget:
        raise ConfigError(f"{name} is a run; only sweeps have a budget of hours or money")


def _conclude(document: "TrainDocument", json: bool) -> None:
    """Print what a run came to; one that did not finish ends the program with its exit code."""
    from cifar_dist.api.run import check_ended

    emit(document, summary, json)
    check_ended(document)


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
