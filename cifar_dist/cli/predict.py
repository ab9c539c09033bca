"""`predict`: image files, classified."""

from pathlib import Path
from typing import Annotated

import typer

from cifar_dist.cli import completion, options
from cifar_dist.cli.commands import add
from cifar_dist.cli.output import emit, say

Files = Annotated[
    list[Path],
    typer.Argument(metavar="IMAGE", help="JPEG or PNG files; folders are not searched."),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="MODEL",
        help=options.WEIGHTS,
        autocompletion=completion.runs,
    ),
]
Top = Annotated[
    int,
    typer.Option("--top", metavar="N", min=1, max=10, help="Classes to name for each image."),
]
Cam = Annotated[
    Path | None,
    typer.Option(
        "--cam", metavar="FOLDER", help="Write there where each image shows its first class."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    run = "photos/cat.jpg --model speednet-1a2b3c4d --cam seen"
    add(app, "predict", _predict, "predict cat.jpg ship.png --top 1", f"predict {run}")


def _predict(
    files: Files,
    model: Model = "speednet",
    top: Top = 3,
    cam: Cam = None,
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Classify image files with probabilities.

    Each image's middle square is brought to 32×32. A file that cannot be read is named on stderr
    and skipped; the exit code is 2 only if none can.
    """
    from cifar_dist.api.predict import predict, read_images
    from cifar_dist.report.summaries import predict_table

    images = read_images(files)

    from cifar_dist.api.origin import origin

    found = origin(model, store or options.DEFAULT_STORE)
    document = predict(found, images, top)
    if cam is not None:
        from cifar_dist.api.predict import explained

        document = explained(document, found, images, cam)
    for row in images.skipped:
        say(f"skipped: {row.reason}")
    emit(document, predict_table, json)
