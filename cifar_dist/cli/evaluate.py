"""`evaluate`: known weights on one split of images."""

from typing import Annotated, Literal

import typer

from cifar_dist.cli import options
from cifar_dist.cli.commands import add
from cifar_dist.cli.output import emit, say

Part = Annotated[
    Literal["validation", "test"] | None,
    typer.Option(
        "--split",
        help="Which images; by itself validation, or test where --data names other images.",
    ),
]
Views = Annotated[
    Literal["none", "flip", "multi_crop"],
    typer.Option("--tta", help="Test-time augmentation, told beside the plain result."),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    run = "evaluate speednet-1a2b3c4d --split test --tta flip"
    add(app, "evaluate", _evaluate, "evaluate speednet --data sample", run)


def _evaluate(
    weights: options.Weights,
    split: Part = None,
    data: options.Data = None,
    views: Views = "none",
    store: options.Store = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Evaluate weights: accuracy with its interval, per class, confusion, calibration.

    Of the images that the weights were trained with it takes the validation split, so that the
    test split stays unread unless asked for; of other images, which --data names, their test split.
    """
    from cifar_dist.api.evaluate import Asked, Evaluator
    from cifar_dist.report.evaluation_text import evaluate_text

    asked = Asked(split, data, views)
    evaluator = Evaluator(weights, store or options.DEFAULT_STORE, asked)
    warn_of_test(evaluator.reads_test_again)
    emit(evaluator(), evaluate_text, json)


def warn_of_test(reads_again: bool) -> None:
    """Say so where the test split is read another time."""
    if reads_again:
        say("this reads the test split again, which was read for the result: choose nothing by it")
