"""Train README's table of results again: `make_results.py DATA STORE [MODEL…]`."""

import sys
from collections.abc import Sequence
from typing import Any

from cifar_dist import train
from cifar_dist.api.model import PACKAGED
from cifar_dist.documents import DataFacts, Score, TrainDocument, WeightsDocument
from cifar_dist.report.evaluation import interval
from cifar_dist.report.formats import duration, percent, thousands

HEAD = (
    "| Model | Epochs | Training, validation, test images | Seed | Test accuracy (95 % interval) |"
    " Training |\n|---|---|---|---|---|---|\n"
)


def main(data: str, store: str, names: Sequence[str]) -> None:
    """Print the table as it was made, then as it comes out now."""
    cards = {name: card(name) for name in names or carded()}
    sys.stdout.write(f"as in README\n{HEAD}{''.join(map(row, cards.values()))}\nnow\n{HEAD}")
    for name, known in cards.items():
        recipe = {**known.recipe, "data": data}
        made = train({"name": name.replace("_", "-"), "recipe": recipe, "store": store})
        sys.stdout.write(row(made))
        sys.stdout.flush()


def carded() -> list[str]:
    """Name the models whose results are kept, whether or not their weights are packaged."""
    return sorted(path.stem for path in PACKAGED.glob("*.json"))


def card(name: str) -> WeightsDocument:
    """Read what a model reached, and how."""
    return WeightsDocument.model_validate_json((PACKAGED / f"{name}.json").read_bytes())


def row(made: WeightsDocument | TrainDocument) -> str:
    """Give one line of the table."""
    if isinstance(made, WeightsDocument):
        return _row(made.recipe, made.data, made.test, made.train_seconds)
    if made.test is None:
        raise SystemExit(f"{made.run} did not finish")
    return _row(made.job["recipe"], made.data, made.test.score, made.train_seconds)


def _row(recipe: dict[str, Any], data: DataFacts, test: Score, seconds: float) -> str:
    low, high = interval(test.correct, test.images)
    images = (data.train_images, data.validation_images, data.test_images)
    cells = (
        f"`{recipe['model']['name']}`",
        str(recipe["epochs"]),
        " / ".join(map(thousands, images)),
        str(recipe["seed"]),
        f"{percent(test.accuracy)} ({percent(low)} to {percent(high)})",
        duration(seconds),
    )
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
