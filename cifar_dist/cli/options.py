"""Flags that several commands share, and the job that they make."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cifar_dist.cli import completion
from cifar_dist.errors import ConfigError

if TYPE_CHECKING:
    from cifar_dist.config import Job
    from cifar_dist.store import Store as OpenStore

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug records.")]
AllowInsecure = Annotated[
    bool,
    typer.Option(
        "--allow-insecure",
        help="Use a cluster that lets anybody in, or http to an S3 server outside "
        "(CIFAR_DIST_ALLOW_INSECURE=1).",
    ),
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        metavar="N",
        help="Serve metrics for Prometheus meanwhile; 0: a free port.",
    ),
]
LogFormat = Annotated[
    str | None,
    typer.Option(
        "--log-format", metavar="text|json", help="Lines on stderr (CIFAR_DIST_LOG_FORMAT)."
    ),
]
Store = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="URI", help="Folder or s3://bucket/prefix.", envvar="CIFAR_DIST_STORE"
    ),
]
Name = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="First part of the run's id.")
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="SOURCE",
        help="sample, cifar10, synthetic, a folder or tar of class folders, or what `data push` "
        "printed.",
    ),
]
Seed = Annotated[
    int | None, typer.Option("--seed", metavar="N", help="Root of every random stream.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Any field of the job, repeatable."),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", help="Training processes; 0 trains in this one."),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="NAME", help="See `models list`.", autocompletion=completion.models
    ),
]
Epochs = Annotated[
    int | None, typer.Option("--epochs", metavar="N", help="Passes over the training images.")
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Run again under a new id.")]
Id = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="A run or sweep of `artifacts ls`.", autocompletion=completion.runs
    ),
]
WEIGHTS = (
    "A run or sweep of the store, STORE/runs/ID, a fetched folder, or an architecture whose "
    "weights come with the package."
)
Weights = Annotated[
    str, typer.Argument(metavar="WEIGHTS", help=WEIGHTS, autocompletion=completion.runs)
]

DEFAULT_STORE = "artifacts"
FIELDS = {
    "model": "recipe.model.name",
    "epochs": "recipe.epochs",
    "batch_size": "recipe.batch_size",
    "lr": "recipe.optimizer.lr",
    "data": "recipe.data",
    "seed": "recipe.seed",
    "workers": "placement.workers",
    "concurrency": "placement.concurrency",
    "store": "store",
    "name": "name",
}
"""Parameters of a command that are fields of a job, by their name."""


def opened(store: str | None) -> "OpenStore":
    """Open the store that a flag names, or the default one. Raises ConfigError."""
    from cifar_dist.store import open_store

    return open_store(store or DEFAULT_STORE)


def overrides(command: typer.Context) -> dict[str, Any]:
    """Join the flags that were given with `--set`. Raises ConfigError on a path given twice."""
    from cifar_dist.config import assigned

    given = {FIELDS[name]: value for name, value in command.params.items() if name in FIELDS}
    joined = {path: value for path, value in given.items() if value is not None}
    for text in command.params["sets"] or []:
        path, value = assigned(text)
        if path in joined:
            raise ConfigError(f"{path}: set twice on the command line; keep one")
        joined[path] = value
    return joined


def job_from(file: str | None, command: typer.Context) -> "Job":
    """Build the job of a command line: defaults, then the file, then flags and `--set`."""
    from cifar_dist.config import load_job, parse_job, patched, recipe_path

    job = parse_job(None) if file is None else load_job(recipe_path(file))
    return patched(job, overrides(command))
