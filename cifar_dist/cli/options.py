"""Flags that several commands share, and the job that they make."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cifar_dist.errors import ConfigError

if TYPE_CHECKING:
    from cifar_dist.config import Job

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug records.")]
Store = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="URI", help="Folder or s3://bucket/prefix.", envvar="CIFAR_DIST_STORE"
    ),
]
Name = Annotated[str | None, typer.Option("--name", help="First part of the run's id.")]
Data = Annotated[
    str | None,
    typer.Option(
        "--data", metavar="SOURCE", help="sample, synthetic, or a folder or tar of class folders."
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Root of every random stream.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Any field of the job, repeatable."),
]
Workers = Annotated[
    int | None, typer.Option("--workers", help="Training processes; 0 trains in this one.")
]
Model = Annotated[str | None, typer.Option("--model", help="See `models list`.")]
Epochs = Annotated[int | None, typer.Option("--epochs", help="Passes over the training images.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Run again under a new id.")]

DEFAULT_STORE = "artifacts"


def loaded(file: Path | None) -> dict[str, Any]:
    """Read a job file, or nothing. Raises ConfigError."""
    from cifar_dist.config import load_yaml

    data = {} if file is None else load_yaml(file)
    if data is not None and not isinstance(data, dict):
        raise ConfigError(f"{file}: a job is a mapping such as {{recipe: {{epochs: 20}}}}")
    return data or {}


def overrides(flags: dict[str, Any], sets: list[str] | None) -> dict[str, Any]:
    """Join the flags that were given with `--set`. Raises ConfigError on a path given twice."""
    from cifar_dist.config import assigned

    joined = {path: value for path, value in flags.items() if value is not None}
    for text in sets or []:
        path, value = assigned(text)
        if path in joined:
            raise ConfigError(f"{path}: set twice on the command line; keep one")
        joined[path] = value
    return joined


def job_from(file: Path | None, flags: dict[str, Any], sets: list[str] | None) -> "Job":
    """Build the job of a command line: defaults, then the file, then flags and `--set`."""
    from cifar_dist.config import parse_job, patched

    return patched(parse_job(loaded(file)), overrides(flags, sets))
