"""`artifacts ls`, `best`, `get`, `verify`, `compare` and `export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cifar_dist.cli import completion, options
from cifar_dist.cli.commands import add
from cifar_dist.cli.output import check_free, emit
from cifar_dist.errors import DamagedError

if TYPE_CHECKING:
    from cifar_dist.documents import ArtifactRow
    from cifar_dist.store import Store

MaybeId = Annotated[
    str | None,
    typer.Argument(metavar="ID", help="A run or sweep.", autocompletion=completion.runs),
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


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="What the store holds: list, fetch, verify, compare, export.", no_args_is_help=True
    )
    run, kept = "speednet-1a2b3c4d", "quickstart-1a2b3c4d --checkpoint latest --output winner"
    add(group, "ls", _ls, "artifacts ls", f"artifacts ls {run} --store s3://my-bucket/team")
    add(group, "best", _best, f"artifacts best {run} --json")
    add(group, "get", _get, f"artifacts get {run}", f"artifacts get {kept}")
    add(group, "verify", _verify, f"artifacts verify {run}")
    pair = f"{run} quickstart-1a2b3c4d"
    paged = f"artifacts compare {pair} --output comparison.html"
    add(group, "compare", _compare, f"artifacts compare {pair}", paged)
    onnx = f"artifacts export {run} --format onnx --output served"
    add(group, "export", _export, "artifacts export speednet", onnx)
    app.add_typer(group, name="artifacts")


def _ls(
    name: MaybeId = None,
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """List runs and sweeps with their state, or the objects of one.

    An object of a checkpoint or a report comes with the SHA-256 that its manifest records.
    """
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
    name: options.Id,
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Name the files of the best checkpoint.

    It is the one with the lowest validation loss; of a sweep, the winner's.
    """
    from cifar_dist.runs import best_files

    opened = _opened(store)
    _emit(opened.uri, best_files(opened, name), json)


def _get(
    name: options.Id,
    output: Folder = None,
    checkpoint: Which = "best",
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Fetch a checkpoint, the job and the report, every byte verified.

    Nothing that lies in the folder with other content is overwritten. Python loads the folder's
    model with `cifar_dist.load_model`.
    """
    from cifar_dist.runs import fetch

    opened = _opened(store)
    folder = output or Path(name)
    rows = fetch(opened, name, folder, checkpoint)
    _emit(str(folder.absolute()), rows, json)


def _verify(
    name: options.Id,
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Compare every byte that a manifest promises with its SHA-256.

    Each object is intact, damaged or missing; unless all are intact, the exit code is 5.
    """
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
    document = compare(_opened(store), names)
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


def _opened(store: str | None) -> "Store":
    from cifar_dist.store import open_store

    return open_store(store or options.DEFAULT_STORE)


def _emit(store: str, rows: "list[ArtifactRow]", json: bool) -> None:
    from cifar_dist.documents import ArtifactsDocument
    from cifar_dist.report.tables import artifacts_table

    emit(ArtifactsDocument(store=store, artifacts=rows), artifacts_table, json)
