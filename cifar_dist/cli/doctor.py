"""`doctor`: whether this set-up can do what will be asked of it."""

from typing import TYPE_CHECKING, Annotated

import typer

from cifar_dist.cli import options
from cifar_dist.cli.commands import add
from cifar_dist.cli.output import emit, say

if TYPE_CHECKING:
    from cifar_dist.documents.doctor import CheckRow, DoctorDocument

Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        max=1024,
        help="Also let N workers compute together: on the cluster, or on a local Ray.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(
        app,
        "doctor",
        _doctor,
        "doctor",
        "doctor --store s3://my-bucket/team --data cifar10",
        "doctor --workers 2 --json",
    )


def _doctor(
    store: options.Store = None,
    data: options.Data = None,
    workers: Workers = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Examine this machine, the store, the data and the cluster before anything is spent on them.

    One line for each check, with the remedy. The exit code is that of the worst; warnings are 0.
    What is written to try the store lies below doctor/ of it and is removed.
    """
    from cifar_dist.doctor import Setup, examine

    setup = Setup(store or options.DEFAULT_STORE, data or "sample", workers)
    if workers is not None:
        say(f"{workers} workers compute together, which may take a minute")
    document = examine(setup)
    emit(document, _table, json)
    if document.exit_code:
        raise typer.Exit(document.exit_code)


def _table(document: "DoctorDocument") -> str:
    width = max(len(row.name) for row in document.checks)
    lines = [f"{row.verdict:<7}  {row.name:<{width}}  {_said(row)}" for row in document.checks]
    counts = {"failed": 0, "warning": 0}
    for row in document.checks:
        counts[row.verdict] = counts.get(row.verdict, 0) + 1
    ended = f"{counts['failed']} failed, {counts['warning']} warnings"
    return "\n".join([*lines, f"{ended}, in {document.seconds:.1f} s"])


def _said(row: "CheckRow") -> str:
    return f"{row.found}; {row.remedy}" if row.remedy else row.found
