"""`report get` and `report index`."""

from pathlib import Path
from typing import Annotated

import typer

from cifar_dist.cli import options
from cifar_dist.cli.commands import add
from cifar_dist.cli.output import check_free, emit

Folder = Annotated[
    Path | None,
    typer.Option("--output", metavar="FOLDER", help="Folder to fetch into; ID-report by default."),
]
Page = Annotated[
    Path | None,
    typer.Option("--output", metavar="HTML", help="File to write; without it only the table."),
]
Where = Annotated[
    str | None,
    typer.Argument(
        metavar="STORE", help="Folder or s3://bucket/prefix.", envvar="CIFAR_DIST_STORE"
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Pages of finished work: fetch one, or list all of a store.", no_args_is_help=True
    )
    fetched, page = "report get speednet-1a2b3c4d --output report", "report index artifacts"
    add(group, "get", _get, "report get speednet-1a2b3c4d", fetched)
    add(group, "index", _index, f"{page} --output artifacts/index.html", f"{page} --json")
    app.add_typer(group, name="report")


def _get(
    name: options.Id,
    output: Folder = None,
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Fetch the newest report of a run or sweep, every byte verified; its page is index.html.

    Nothing that lies in the folder with other content is overwritten.
    """
    from cifar_dist.documents import ArtifactsDocument
    from cifar_dist.runs import fetch_report
    from cifar_dist.store import open_store

    folder = output or Path(f"{name}-report")
    rows = fetch_report(open_store(store or options.DEFAULT_STORE), name, folder)
    page = folder / "index.html"
    document = ArtifactsDocument(store=str(folder.absolute()), artifacts=rows)
    emit(document, lambda _: str(page if page.exists() else folder), json)


def _index(
    store: Where = None,
    output: Page = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """List all runs and sweeps of a store with what they came to, as a page that stays.

    The page needs neither a server nor the cluster. Of a folder its links lead to the reports
    from where the page lies; of a bucket, from the store's own top: upload it there.
    """
    from cifar_dist.api.index import index, save_page
    from cifar_dist.report.summaries import index_table
    from cifar_dist.store import open_store

    if output is not None:
        check_free(output)
    opened = open_store(store or options.DEFAULT_STORE)
    document = index(opened)
    if output is not None:
        save_page(document, output)
    emit(document, index_table, json)
