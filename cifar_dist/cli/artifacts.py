"""`artifacts ls`, `best`, `get`, `verify`, `compare` and `export`, and those of `retention`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cifar_dist.cli import completion, options, retention
from cifar_dist.cli.commands import add
from cifar_dist.cli.output import check_free, emit
from cifar_dist.errors import ConfigError, DamagedError
from cifar_dist.problems import nearest, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cifar_dist.documents import ArtifactRow, ServingCheckpoint

MaybeId = Annotated[
    str | None,
    typer.Argument(metavar="ID", help="A run or sweep.", autocompletion=completion.runs),
]
Kind = Annotated[str | None, typer.Option("--kind", metavar="KIND", help="runs or sweeps.")]
State = Annotated[
    str | None,
    typer.Option("--state", metavar="STATE", help="finished, unfinished or damaged."),
]
Beginning = Annotated[
    str | None, typer.Option("--name", metavar="PREFIX", help="How the name begins.")
]
Sort = Annotated[
    str, typer.Option("--sort", metavar="BY", help="name, size (largest first) or time (newest).")
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace files that have other content, one by one.")
]
Folder = Annotated[
    Path | None,
    typer.Option("--output", metavar="FOLDER", help="Folder to fetch into; ID by default."),
]
Which = Annotated[
    str,
    typer.Option("--checkpoint", metavar="NAME", help="best, latest or the name of a pin."),
]
Ids = Annotated[
    list[str],
    typer.Argument(
        metavar="ID", help="From 2 to 6 runs and sweeps.", autocompletion=completion.runs
    ),
]
Page = Annotated[
    Path | None, typer.Option("--output", metavar="HTML", help="File to write, with the curves.")
]
Weights = Annotated[
    str, typer.Argument(metavar="MODEL", help=options.WEIGHTS, autocompletion=completion.runs)
]
Format = Annotated[
    str, typer.Option("--format", metavar="FORMAT", help="safetensors, torch or onnx.")
]
NewFolder = Annotated[
    Path | None,
    typer.Option("--output", metavar="FOLDER", help="Folder to make; MODEL-FORMAT by default."),
]

_ORDERS: "dict[str, Callable[[ArtifactRow], Any]]" = {
    "name": lambda row: row.key,
    "size": lambda row: row.bytes,
    "time": lambda row: row.modified or "",
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="What the store holds: list, fetch, verify, compare, export, keep.",
        no_args_is_help=True,
    )
    run, kept = "speednet-1a2b3c4d", "quickstart-1a2b3c4d --checkpoint latest --output winner"
    largest = "artifacts ls --kind runs --state finished --sort size"
    add(group, "ls", _ls, largest, f"artifacts ls {run} --store s3://my-bucket/team")
    add(group, "best", _best, f"artifacts best {run} --json")
    add(group, "get", _get, f"artifacts get {run}", f"artifacts get {kept}")
    add(group, "verify", _verify, f"artifacts verify {run}")
    pair = f"{run} quickstart-1a2b3c4d"
    paged = f"artifacts compare {pair} --output comparison.html"
    add(group, "compare", _compare, f"artifacts compare {pair}", paged)
    onnx = f"artifacts export {run} --format onnx --output served"
    add(group, "export", _export, "artifacts export speednet", onnx)
    retention.register(group)
    app.add_typer(group, name="artifacts")


def _ls(
    name: MaybeId = None,
    kind: Kind = None,
    state: State = None,
    beginning: Beginning = None,
    sort: Sort = "name",
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """List runs and sweeps with their state, size and time, or the objects of one.

    An object of a checkpoint or a report comes with the SHA-256 that its manifest records.
    """
    from cifar_dist.documents import ArtifactRow
    from cifar_dist.runs import artifacts, list_runs, stamped

    valid = {"--kind": ["runs", "sweeps"], "--state": ["finished", "unfinished", "damaged"]}
    for flag, value in (("--kind", kind), ("--state", state)):
        if value is not None:
            _check_one(flag, value, valid[flag])
    _check_one("--sort", sort, list(_ORDERS))
    opened = options.opened(store)
    if name is not None:
        if kind or state or beginning:
            raise ConfigError("--kind, --state and --name choose runs; leave them out beside an ID")
        rows = artifacts(opened, name)
    else:
        found = list_runs(opened, kind, beginning or "")
        rows = [
            ArtifactRow(
                key=f"{row.kind}/{row.id}",
                bytes=row.bytes,
                verdict=row.state,
                modified=stamped(row.modified),
            )
            for row in found
            if state in (None, row.state)
        ]
    _emit(opened.uri, sorted(rows, key=_ORDERS[sort], reverse=sort != "name"), json)


def _best(
    name: options.Id,
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Name the files of the best checkpoint.

    It is the one with the lowest validation loss; of a sweep, the winner's.
    """
    from cifar_dist.runs import best_files

    opened = options.opened(store)
    _emit(opened.uri, best_files(opened, name), json)


def _get(
    name: options.Id,
    output: Folder = None,
    checkpoint: Which = "best",
    force: Force = False,
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Fetch a checkpoint, the job and the report, every byte verified.

    What lies in the folder whole is not fetched again, and nothing with other content is replaced
    without --force. Python loads the folder's model with `cifar_dist.load_model`.
    """
    from cifar_dist.runs import fetch

    opened = options.opened(store)
    folder = output or Path(name)
    rows = fetch(opened, name, folder, checkpoint, force=force)
    _emit(str(folder.absolute()), rows, json)


def _verify(
    name: options.Id,
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Compare every byte that a manifest or a document promises with its SHA-256.

    Each object is intact, damaged or missing; unless all are intact, the exit code is 5. At the end
    it says which checkpoints still serve.
    """
    from cifar_dist.runs import serving, verify

    opened = options.opened(store)
    rows = verify(opened, name)
    serves = serving(opened, name, rows)
    _emit(opened.uri, rows, json, serves)
    bad = [row.key for row in rows if row.verdict != "intact"]
    for each in serves:
        place = each.key or each.run
        if each.verdict != "intact" and not any(f"{key}/".startswith(f"{place}/") for key in bad):
            bad.append(place)
    if bad:
        raise DamagedError(
            f"parts of {name} are damaged or missing, first {bad[0]} ({len(bad)} in all); "
            "restore them from a backup, or fetch an older checkpoint"
        )


def _compare(
    names: Ids,
    output: Page = None,
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Set finished runs side by side: accuracy, gap, stability, cost, and how recipes differ.

    Of a sweep its winner is compared. McNemar's test tells whether two differ on the same images.
    """
    from cifar_dist.api.compare import compare
    from cifar_dist.report.summaries import compare_table
    from cifar_dist.store.disk import reported

    if output is not None:
        check_free(output)
    document = compare(options.opened(store), names)
    if output is not None:
        from cifar_dist.report.comparison_page import comparison_page

        with reported(str(output)):
            output.write_text(comparison_page(document), "utf-8")
    emit(document, compare_table, json)


def _export(
    name: Weights,
    kind: Format = "safetensors",
    output: NewFolder = None,
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Write a model for other programs: its weights, labels.json and a model card.

    onnx: a graph that takes images of values 0 to 1, compared with PyTorch on validation images;
    needs `pip install 'cifar-dist[onnx]'`. Nothing is ever overwritten.
    """
    from cifar_dist.api.export import export, export_format
    from cifar_dist.report.summaries import export_text

    folder = output or Path(f"{Path(name).resolve().name}-{kind}")
    found = export_format(kind, folder)

    from cifar_dist.api.origin import origin

    document = export(origin(name, store or options.DEFAULT_STORE), found, folder)
    emit(document, export_text, json)


def _check_one(flag: str, value: str, valid: "list[str]") -> None:
    if value not in valid:
        raise ConfigError(f"{flag} {shown(value)}: {nearest(value, valid)}")


def _emit(
    store: str,
    rows: "list[ArtifactRow]",
    json: bool,
    serving: "Sequence[ServingCheckpoint]" = (),
) -> None:
    from cifar_dist.documents import ArtifactsDocument
    from cifar_dist.report.tables import artifacts_table

    document = ArtifactsDocument(store=store, artifacts=rows, serving=list(serving))
    emit(document, artifacts_table, json)
