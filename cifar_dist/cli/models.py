"""`models list` and `models show`."""

from typing import Annotated

import typer

from cifar_dist.cli import completion, options
from cifar_dist.cli.commands import add
from cifar_dist.cli.output import emit
from cifar_dist.errors import ConfigError
from cifar_dist.problems import nearest, shown

Show = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A name of `models list`.", autocompletion=completion.models
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The zoo of architectures.", no_args_is_help=True)
    add(group, "list", _list, "models list", "models list --json")
    add(group, "show", _show, "models show resnet18_cam")
    app.add_typer(group, name="models")


def _list(json: options.Json = False, debug: options.Debug = False) -> None:
    """List the architectures with parameters and multiply-accumulates.

    Each is a value of `train --model`; its options can be set with `--set recipe.model.OPTION=…`.
    """
    from cifar_dist.config import components
    from cifar_dist.documents import ModelsDocument
    from cifar_dist.models.tables import describe
    from cifar_dist.report.tables import models_table

    names = components()["recipe.model"].names
    documents = [describe(name, {}).model_copy(update={"layers": []}) for name in names]
    emit(ModelsDocument(models=documents), models_table, json)


def _show(name: Show, json: options.Json = False, debug: options.Debug = False) -> None:
    """Show an architecture's layers, receptive field and cost.

    Multiply-accumulates are those of one 32×32 image.
    """
    from cifar_dist.config import components

    known = components()["recipe.model"].names
    if name not in known:
        raise ConfigError(f"model {shown(name)} is not known; {nearest(name, known)}")
    from cifar_dist.documents import ModelsDocument
    from cifar_dist.models.tables import describe
    from cifar_dist.report.tables import layer_table, receptive_field_table

    def text(document: ModelsDocument) -> str:
        (model,) = document.models
        return f"{layer_table(model)}\n\n{receptive_field_table(model)}"

    emit(ModelsDocument(models=[describe(name, {})]), text, json)
