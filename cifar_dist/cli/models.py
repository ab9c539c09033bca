"""`models list` and `models show`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cifar_dist.cli import completion, options
from cifar_dist.cli.commands import add
from cifar_dist.cli.figures import check_folder, write_files
from cifar_dist.cli.output import emit, say
from cifar_dist.errors import ConfigError
from cifar_dist.problems import nearest, shown

if TYPE_CHECKING:
    from cifar_dist.documents import ModelDocument

Show = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A name of `models list`.", autocompletion=completion.models
    ),
]
Figures = Annotated[
    Path | None,
    typer.Option(
        "--figures",
        metavar="FOLDER",
        help="Write there receptive_field.png, layers.png and activation_memory.png.",
    ),
]

_FLAG = "--figures"
_FILES = ("receptive_field.png", "layers.png", "activation_memory.png")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The zoo of architectures.", no_args_is_help=True)
    add(group, "list", _list, "models list", "models list --json")
    add(group, "show", _show, "models show resnet18_cam", "models show dsc_net --figures figures")
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


def _show(
    name: Show,
    figures: Figures = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Show an architecture's layers, receptive field and cost.

    Multiply-accumulates are those of one 32×32 image.
    """
    from cifar_dist.config import components

    known = components()["recipe.model"].names
    if name not in known:
        raise ConfigError(f"model {shown(name)} is not known; {nearest(name, known)}")
    if figures is not None:
        check_folder(figures, _FILES, _FLAG)
    from cifar_dist.documents import ModelsDocument
    from cifar_dist.models.tables import describe
    from cifar_dist.report.tables import layer_table, receptive_field_table

    def text(document: ModelsDocument) -> str:
        (model,) = document.models
        return f"{layer_table(model)}\n\n{receptive_field_table(model)}"

    described = describe(name, {})
    if figures is not None:
        _draw(described, figures)
    emit(ModelsDocument(models=[described]), text, json)


def _draw(model: "ModelDocument", folder: Path) -> None:
    from cifar_dist.report.figures.drawing import style
    from cifar_dist.report.figures.model import model_pictures

    with style():
        files = {picture.file: picture.data for picture in model_pictures(model)}
    write_files(folder, files)
    for name in files:
        say(f"wrote {folder / name}")
