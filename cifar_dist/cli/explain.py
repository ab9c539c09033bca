"""`explain`: where a model saw its class in images."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cifar_dist.cli import options
from cifar_dist.cli.commands import add
from cifar_dist.cli.evaluate import warn_of_test
from cifar_dist.cli.figures import write_files
from cifar_dist.cli.output import check_free, emit, say

Files = Annotated[
    list[Path] | None,
    typer.Argument(metavar="IMAGE", help="JPEG or PNG files, in place of a split's images."),
]
Part = Annotated[
    Literal["validation", "test"], typer.Option("--split", help="Which images of its data.")
]
Index = Annotated[
    list[int] | None,
    typer.Option("--index", metavar="N", min=0, help="An image of the split, repeatable."),
]
Layer = Annotated[
    str | None, typer.Option("--layer", metavar="NAME", help="A layer whose answer is a map.")
]
Class = Annotated[
    str | None,
    typer.Option("--class", metavar="NAME", help="Look for it, not for the predicted class."),
]
How = Annotated[
    Literal["cam", "grad_cam"] | None,
    typer.Option("--method", help="By itself the exact cam where the model allows it."),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", metavar="FOLDER", help="New folder to write; ID-explained by itself."),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    run = "explain speednet-1a2b3c4d"
    add(app, "explain", _explain, run, f"{run} --index 7 --class cat", "explain speednet cat.jpg")


def _explain(
    weights: options.Weights,
    files: Files = None,
    split: Part = "validation",
    index: Index = None,
    layer: Layer = None,
    target: Class = None,
    method: How = None,
    output: Output = None,
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Show where a model sees its class: each image beside its activation map.

    Without IMAGE and --index it draws galleries of a split: recognized images, mistaken ones and
    the most confident mistakes. The folder that it writes must be new.
    """
    from cifar_dist.api.explain import Asked, Explanation
    from cifar_dist.report.explanation import explain_text

    asked = Asked(files or (), index or (), split, layer, method, target)
    explanation = Explanation(weights, store or options.DEFAULT_STORE, asked)
    folder = output or explanation.folder
    check_free(folder)
    warn_of_test(explanation.reads_test_again)
    document, pictures = explanation()
    for row in document.skipped:
        say(f"skipped: {row.reason}")
    written = write_files(folder, pictures)
    emit(document.model_copy(update={"folder": written.store}), explain_text, json)
