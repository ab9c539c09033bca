"""`artifacts ls`, `best`, `get` and `verify`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cifar_dist.cli import options
from cifar_dist.cli.output import emit
from cifar_dist.errors import DamagedError

if TYPE_CHECKING:
    from cifar_dist.documents import ArtifactRow
    from cifar_dist.store import Store

Id = Annotated[str, typer.Argument(metavar="ID", help="A run or sweep of `artifacts ls`.")]
MaybeId = Annotated[str | None, typer.Argument(metavar="[ID]", help="A run or sweep.")]
Folder = Annotated[
    Path | None, typer.Option("--output", help="Folder to fetch into; ID by default.")
]
Which = Annotated[str, typer.Option("--checkpoint", help="best, latest or the name of a pin.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What the store holds: list, fetch, verify.", no_args_is_help=True)
    group.command("ls")(_ls)
    group.command("best")(_best)
    group.command("get")(_get)
    group.command("verify")(_verify)
    app.add_typer(group, name="artifacts")


def _ls(
    name: MaybeId = None,
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """List runs and sweeps with their state, or every object of one of them."""
    from cifar_dist.documents import ArtifactRow
    from cifar_dist.runs import artifacts, list_runs

    opened = _opened(store)
    if name is not None:
        rows = artifacts(opened, name)
    else:
        rows = [
            ArtifactRow(key=f"{row.kind}/{row.id}", bytes=row.bytes, verdict=row.state)
            for row in list_runs(opened)
        ]
    _emit(opened.uri, rows, json)


def _best(
    name: Id,
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Name the files of the best checkpoint."""
    from cifar_dist.runs import best_files

    opened = _opened(store)
    _emit(opened.uri, best_files(opened, name), json)


def _get(
    name: Id,
    output: Folder = None,
    checkpoint: Which = "best",
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Fetch a checkpoint, the job and the report, every byte verified."""
    from cifar_dist.runs import fetch

    opened = _opened(store)
    folder = output or Path(name)
    rows = fetch(opened, name, folder, checkpoint)
    _emit(str(folder.absolute()), rows, json)


def _verify(
    name: Id,
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Read every byte that a manifest promises and compare it with its SHA-256."""
    from cifar_dist.runs import verify

    opened = _opened(store)
    rows = verify(opened, name)
    _emit(opened.uri, rows, json)
    bad = [row.key for row in rows if row.verdict != "intact"]
    if bad:
        raise DamagedError(
            f"{len(bad)} of {len(rows)} objects of {name} are damaged or missing, first {bad[0]}; "
            "restore them from a backup, or fetch an older checkpoint"
        )


def _opened(store: str | None) -> "Store":
    from cifar_dist.store import open_store

    return open_store(store or options.DEFAULT_STORE)


def _emit(store: str, rows: "list[ArtifactRow]", json: bool) -> None:
    from cifar_dist.documents import ArtifactsDocument
    from cifar_dist.report.tables import artifacts_table

    emit(ArtifactsDocument(store=store, artifacts=rows), artifacts_table, json)
