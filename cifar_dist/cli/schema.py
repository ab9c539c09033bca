"""`schema`: the JSON Schema of a job, of the chart's values or of a document."""

import json as jsonlib
from typing import Annotated, Any

import typer

from cifar_dist.cli import completion, options
from cifar_dist.cli.commands import add
from cifar_dist.errors import ConfigError
from cifar_dist.problems import nearest, shown

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="job, components, values or a document's name.",
        autocompletion=completion.schemas,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "schema", _schema, "schema job", "schema train")


def _schema(name: Name, json: options.Json = False, debug: options.Debug = False) -> None:
    """Print the JSON Schema of a job, its components, the chart's values or a document.

    A document is what a command prints with --json; `job` is what a YAML file of `train` holds.
    """
    print(jsonlib.dumps(_named(name), indent=2))


def _named(name: str) -> dict[str, Any]:
    from cifar_dist.config import job_schema
    from cifar_dist.documents import DOCUMENTS

    if name == "job":
        return job_schema()
    if name == "components":
        from cifar_dist.learner import REGISTRIES

        return {path: registry.schema() for path, registry in REGISTRIES.items()}
    if name == "values":
        from cifar_dist.submission.schema import values_schema

        return values_schema()
    if name in DOCUMENTS:
        return DOCUMENTS[name].model_json_schema()
    valid = ["job", "components", "values", *DOCUMENTS]
    raise ConfigError(f"schema {shown(name)} is not known; {nearest(name, valid)}")
