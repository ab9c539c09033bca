"""`tune`."""

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cifar_dist.cli import completion, options
from cifar_dist.cli.commands import add
from cifar_dist.cli.metered import following
from cifar_dist.cli.output import emit
from cifar_dist.cli.preview import preview, preview_table
from cifar_dist.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cifar_dist.documents import TuneDocument
    from cifar_dist.search import Space

SpaceName = Annotated[
    str,
    typer.Argument(
        metavar="SPACE",
        help="A shipped space's name, a YAML file, or - for stdin.",
        autocompletion=completion.spaces,
    ),
]
TrialCount = Annotated[
    int | None,
    typer.Option("--trials", metavar="N", help="How many, the base job included."),
]
MaxSeconds = Annotated[
    int | None,
    typer.Option("--max-seconds", metavar="N", help="Wall time after which no trial goes on."),
]
MaxHours = Annotated[
    float | None,
    typer.Option("--max-hours", metavar="H", help="The same in hours; 0.5 is half of one."),
]
MaxCost = Annotated[
    float | None,
    typer.Option(
        "--max-cost",
        metavar="MONEY",
        help="Spent on CPUs and GPUs, no trial goes on; needs placement.cpu_hour_price or "
        "gpu_hour_price.",
    ),
]
Concurrency = Annotated[
    int | None,
    typer.Option("--concurrency", metavar="N", help="Trials at once; as many as fit if left out."),
]
Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", help="Training processes of each trial.")
]
FinalEpochs = Annotated[
    int | None,
    typer.Option("--final-epochs", metavar="N", help="Retrain the winner for N epochs."),
]
Refit = Annotated[
    bool, typer.Option("--refit", help="Retrain the winner on the validation images, too.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the sweep if it was started.")]
Extend = Annotated[
    int | None,
    typer.Option("--extend", metavar="N", help="Add N trials to the sweep of this space."),
]
Confirm = Annotated[
    int | None,
    typer.Option("--confirm", metavar="K", help="Train the K best again with further seeds."),
]
Seeds = Annotated[
    int | None,
    typer.Option("--seeds", metavar="S", help="How many seeds --confirm takes; 3 if left out."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be tried.")]

_YEAR_HOURS = 8_760
_EXAMPLES = (
    "tune",
    "tune dropout --trials 12 --max-hours 1 --concurrency 2",
    "tune learning_rate --data cifar10 --store s3://my-bucket/team --final-epochs 40 --refit",
    "tune quickstart --resume",
    "tune dropout --extend 12",
    "tune dropout --confirm 3 --seeds 5",
    "tune my_space.yaml --dry-run",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "tune", _tune, *_EXAMPLES)


def _tune(
    command: typer.Context,
    space: SpaceName = "quickstart",
    trials: TrialCount = None,
    max_seconds: MaxSeconds = None,
    max_hours: MaxHours = None,
    max_cost: MaxCost = None,
    concurrency: Concurrency = None,
    epochs: options.Epochs = None,
    data: options.Data = None,
    seed: options.Seed = None,
    workers: Workers = None,
    final_epochs: FinalEpochs = None,
    refit: Refit = False,
    store: options.Store = None,
    name: options.Name = None,
    sets: options.Set = None,
    fresh: options.Fresh = False,
    resume: Resume = False,
    extend: Extend = None,
    confirm: Confirm = None,
    seeds: Seeds = None,
    dry_run: DryRun = False,
    metrics_port: options.MetricsPort = None,
    log_format: options.LogFormat = None,
    allow_insecure: options.AllowInsecure = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Search a space with ASHA. The winner by validation is tested once and kept.

    Trial 0 is the base job itself, which the flags change. Trials run on a local Ray or on that of
    RAY_ADDRESS. Ctrl-C commits what there is, --resume goes on; --confirm tells luck apart.
    """
    asked = asked_space(space, options.overrides(command), trials, limits(command.params))
    if dry_run:
        emit(preview(asked), preview_table, json)
        return
    final = _final(final_epochs, refit)
    conclude(_searched(asked, final, (fresh, resume, extend), (confirm, seeds), metrics_port), json)


def _searched(
    asked: "Space",
    final: dict[str, Any],
    again: tuple[bool, bool, int | None],
    confirmation: tuple[int | None, int | None],
    metrics_port: int | None,
) -> "TuneDocument":
    from cifar_dist.api.confirm import check_confirmation, confirm_sweep
    from cifar_dist.api.sweep import Again, run_sweep

    check_confirmation(*confirmation)
    with following(metrics_port) as follower:
        ended = run_sweep(asked, final, follower, Again(*again))
        return confirm_sweep(asked.job, ended, follower, *confirmation)


def conclude(document: "TuneDocument", json: bool) -> None:
    """Print what a sweep came to; one without a winner ends the program with its exit code."""
    from cifar_dist.api.sweep import check_won

    emit(document, summary, json)
    check_won(document)


def limits(given: "Mapping[str, Any]") -> dict[str, int | float]:
    """Give what the flags of a command say of a budget. Raises ConfigError."""
    seconds, hours, cost = (given.get(f"max_{name}") for name in ("seconds", "hours", "cost"))
    if seconds is not None and hours is not None:
        raise ConfigError("--max-seconds and --max-hours are both wall time; give one of them")
    found: dict[str, int | float] = {} if seconds is None else {"seconds": seconds}
    if hours is not None:
        if not 0 < hours <= _YEAR_HOURS:
            raise ConfigError(f"--max-hours={hours:g}: must be more than 0 and at most 8,760")
        found["seconds"] = math.ceil(hours * 3600)
    if cost is not None:
        if not 0 < cost < math.inf:
            raise ConfigError(f"--max-cost={cost:g}: must be an amount of money above 0")
        found["cost"] = cost
    return found


def asked_space(
    name: str,
    overrides: dict[str, Any],
    trials: int | None,
    budget: "Mapping[str, int | float] | None" = None,
) -> "Space":
    """Read a space as a command line changes it; it is named after its file. Raises ConfigError."""
    from cifar_dist.api.sweep import named
    from cifar_dist.search import Space, space_path

    path = space_path(name)
    space = Space.load(path).changed(overrides, trials)
    return named(space.allowed(budget) if budget else space, path)


def _final(epochs: int | None, refit: bool) -> dict[str, Any]:
    """Give what changes the winner's job for its retraining."""
    changes: dict[str, Any] = {}
    if epochs is not None:
        changes["recipe.epochs"] = epochs
    if refit:
        changes["recipe.validation_fraction"] = 0.0
    return changes


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
