"""`plan`: what a sweep or a training will cost, before anything is spent on it."""

import math
from typing import TYPE_CHECKING, Annotated

import typer

from cifar_dist.cli import completion, options
from cifar_dist.cli.commands import add
from cifar_dist.cli.output import emit, say
from cifar_dist.cli.tune import Concurrency, TrialCount, asked_space
from cifar_dist.errors import ConfigError

if TYPE_CHECKING:
    from cifar_dist.documents.plan import PlanDocument
    from cifar_dist.plan import Plan

Subject = Annotated[
    str | None,
    typer.Argument(
        metavar="SPACE",
        help="A shipped space's name or its file; with --train a recipe's or a job's.",
        autocompletion=completion.spaces,
    ),
]
Train = Annotated[bool, typer.Option("--train", help="Plan one training of a job, not a sweep.")]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", metavar="N", help="Training processes of each trial; more than here: on paper."
    ),
]
Gigabits = Annotated[
    float | None,
    typer.Option(
        "--gigabits", metavar="G", help="Per second between two workers: assumed, 10 if left out."
    ),
]

_EXAMPLES = (
    "plan quickstart",
    "plan dropout --trials 100 --data cifar10 --set placement.cpu_hour_price=0.04",
    "plan my_space.yaml --concurrency 8 --json",
    "plan resnet18_cam --train --workers 64 --gigabits 100",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "plan", _plan, *_EXAMPLES)


def _plan(
    command: typer.Context,
    space: Subject = None,
    train: Train = False,
    trials: TrialCount = None,
    model: options.Model = None,
    epochs: options.Epochs = None,
    data: options.Data = None,
    seed: options.Seed = None,
    workers: Workers = None,
    concurrency: Concurrency = None,
    gigabits: Gigabits = None,
    store: options.Store = None,
    sets: options.Set = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Say what a sweep will cost: time, CPU- and GPU-hours, money, memory and room.

    At most 20 steps of each kind of model are timed on this machine, on the images asked for;
    the rest is arithmetic. Exit code 2 if something does not fit. Nothing is stored.
    """
    if gigabits is not None and not 0 < gigabits < math.inf:
        raise ConfigError(f"--gigabits={gigabits:g}: must be more than 0")
    if train and (trials is not None or concurrency is not None):
        raise ConfigError("--trials and --concurrency belong to a sweep; leave out --train")
    asked = _asked(space, command)
    say("timing a few steps of each kind of model, which may take a minute")
    from cifar_dist.plan import plan

    document = plan(asked)
    emit(document, _text, json)
    if document.exit_code:
        raise typer.Exit(document.exit_code)


def _asked(name: str | None, command: typer.Context) -> "Plan":
    from cifar_dist.api.budget import check_priced
    from cifar_dist.dataset import find

    given, space = command.params, None
    if given["train"]:
        job = options.job_from(name, command)
    else:
        overrides = options.overrides(command)
        space = asked_space(name or "quickstart", overrides, given["trials"])
        check_priced(space)
        job = space.job
    find(job.recipe.data, s3=job.s3)
    from cifar_dist.plan import Plan

    gigabits = given["gigabits"]
    return Plan(job, space) if gigabits is None else Plan(job, space, gigabits)


def _text(document: "PlanDocument") -> str:
    """Show it to people: text on the left, numbers on the right."""
    from cifar_dist.report.plan import plan_text

    return plan_text(document)
