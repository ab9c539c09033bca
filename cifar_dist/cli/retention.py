"""`artifacts gc`, `pin` and `unpin`: what a store keeps."""

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cifar_dist.cli import completion, options
from cifar_dist.cli.commands import add
from cifar_dist.cli.output import emit
from cifar_dist.errors import ConfigError

if TYPE_CHECKING:
    from cifar_dist.runs import Run

Ids = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID", help="Runs and sweeps; all by default.", autocompletion=completion.runs
    ),
]
Keep = Annotated[
    int, typer.Option("--keep", metavar="K", min=1, max=1000, help="Newest checkpoints of a run.")
]
KeepTrials = Annotated[
    int,
    typer.Option(
        "--keep-trials",
        metavar="K",
        min=1,
        max=10_000,
        help="Best trials of a finished sweep that keep their checkpoints.",
    ),
]
OlderThan = Annotated[
    str,
    typer.Option(
        "--older-than", metavar="AGE", help="Of what was never committed: 1h or more, 36h, 7d."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would go; change nothing.")]
PinName = Annotated[str, typer.Argument(metavar="NAME", help="The pin: a-z, 0-9 and '-'.")]
Step = Annotated[
    int | None, typer.Option("--step", metavar="N", min=0, help="The checkpoint of this step.")
]
Which = Annotated[
    str | None,
    typer.Option("--checkpoint", metavar="NAME", help="best or latest; best by default."),
]

_AGE = re.compile(r"([1-9][0-9]{0,4})([hd])")
_HOURS = {"h": 1, "d": 24}


def register(group: typer.Typer) -> None:
    """Add the commands to `artifacts`."""
    run, sweep = "speednet-1a2b3c4d", "quickstart-1a2b3c4d"
    kept = f"artifacts gc {sweep} --keep 1 --keep-trials 3 --older-than 7d"
    add(group, "gc", _gc, "artifacts gc --dry-run", kept)
    add(group, "pin", _pin, f"artifacts pin {run} shown", f"artifacts pin {run} shown --step 1200")
    add(group, "unpin", _unpin, f"artifacts unpin {run} shown")


def _gc(
    names: Ids = None,
    keep: Keep = 3,
    keep_trials: KeepTrials = 1,
    older_than: OlderThan = "24h",
    dry_run: DryRun = False,
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Remove checkpoints that no run or sweep needs, and what killed writers left.

    The newest, the best, the pinned, the one resumed from and any of the last 10 minutes stay; of a
    sweep those of its best trials. Documents, scores and reports stay. Safe while others train.
    """
    from cifar_dist.report.retention import gc_table
    from cifar_dist.runs.cleaning import Policy, clean

    policy = Policy(keep, keep_trials, _age(older_than))
    emit(clean(options.opened(store), names or [], policy, dry_run=dry_run), gc_table, json)


def _pin(
    run_id: options.Id,
    name: PinName,
    step: Step = None,
    checkpoint: Which = None,
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Name a checkpoint, which then stays until it is unpinned.

    Of a sweep it is the winner's. `artifacts get ID --checkpoint NAME` fetches it.
    """
    from cifar_dist.runs import locate, winner
    from cifar_dist.runs.pins import chosen, pin

    if step is not None and checkpoint is not None:
        raise ConfigError("--step and --checkpoint both name a checkpoint; give one of them")
    run = winner(locate(options.opened(store), run_id))
    pin(run, name, chosen(run, checkpoint or "best", step))
    _show(run, json)


def _unpin(
    run_id: options.Id,
    name: PinName,
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Take a name away, so that `artifacts gc` may remove its checkpoint."""
    from cifar_dist.runs import locate, winner
    from cifar_dist.runs.pins import unpin

    run = winner(locate(options.opened(store), run_id))
    unpin(run, name)
    _show(run, json)


def _show(run: "Run", json: bool) -> None:
    from cifar_dist.report.retention import pins_table
    from cifar_dist.runs.pins import listed

    emit(listed(run), pins_table, json)


def _age(text: str) -> timedelta:
    found = _AGE.fullmatch(text)
    if found is None:
        raise ConfigError(
            f"--older-than {text[:20]!a}: write hours or days, 1h or more, such as 36h or 7d"
        )
    return timedelta(hours=int(found[1]) * _HOURS[found[2]])
