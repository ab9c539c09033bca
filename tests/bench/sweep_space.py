"""The frozen space of 27 configurations, in which order a seed tries them, and which are good."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_dist.documents import value_at
from cifar_dist.search import Space
from tests.bench.rounds import Absent, Setting

SPACE = Path(__file__).with_name("sweep_27.yaml")
TABLE = Path(__file__).with_name("sweep_27.json")
TABLE_SCHEMA = "cifar-dist/bench-table/1"
NEAR = 0.005
"""How far below the best a configuration may lie and still be found: half a point."""

_SHAPING = (
    "model", "augmentation", "optimizer", "schedule", "epochs", "batch_size", "label_smoothing",
)  # fmt: skip

Configuration = dict[str, Any]
"""Each searched path and its value."""


@dataclass(frozen=True)
class Ended:
    """A trial that ended, and what the whole sweep had spent then."""

    configuration: Configuration
    epochs: int
    cpu_seconds: float


def frozen_space(setting: Setting) -> Space:
    """Read the space for a setting's images and seed; short where only running counts."""
    changes = {"recipe.data": setting.data, "recipe.seed": setting.seed}
    return Space.load(SPACE).changed(
        changes | ({"recipe.epochs": 2} if setting.smoke else {}), None
    )


def configurations(space: Space, seed: int) -> list[Configuration]:
    """Give all trials in the order in which a sweep with this seed tries them: each one once."""
    job = space.job.model_dump(mode="json")
    own = {path: value_at(job, path) for path in space.space}
    return [own | space.proposal(number, seed) for number in range(space.count)]


def key(configuration: Mapping[str, Any]) -> str:
    """Give what is equal for equal configurations."""
    return json.dumps(configuration, sort_keys=True)


def fingerprint(space: Space) -> str:
    """Give a sum over what shapes the results; the seed and where images come from do not."""
    # A field that the package adds with a default leaves the table valid.
    recipe = space.job.recipe.model_dump(mode="json", include=set(_SHAPING))
    text = json.dumps([recipe, sorted(map(key, configurations(space, 0)))], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def table(space: Space, scores: Iterable[tuple[Configuration, Sequence[float]]]) -> Any:
    """Give what is kept: of each configuration its validation accuracies, one for each seed."""
    return {
        "schema": TABLE_SCHEMA,
        "space_sha256": fingerprint(space),
        "data": space.job.recipe.data,
        "rows": [{"configuration": tried, "accuracies": list(found)} for tried, found in scores],
    }


def read_table(space: Space, file: Path = TABLE) -> list[tuple[Configuration, list[float]]]:
    """Read a whole table of this space and its images. Raises Absent if there is none."""
    if not file.exists():
        raise Absent(f"there is no {file.name}; write it with `python -m tests.bench.sweep_table`.")
    content = json.loads(file.read_text("utf-8"))
    rows = [(row["configuration"], row["accuracies"]) for row in content["rows"]]
    stamp = content["schema"], content["space_sha256"], content["data"]
    if stamp != (TABLE_SCHEMA, fingerprint(space), space.job.recipe.data):
        raise Absent(f"{file.name} is of another space or of other images; write it anew.")
    known = {key(configuration) for configuration, _ in rows}
    if known != {key(each) for each in configurations(space, 0)} or not all(r[1] for r in rows):
        raise Absent(f"{file.name} is not complete; `python -m tests.bench.sweep_table` goes on.")
    return rows


def good(rows: Iterable[tuple[Configuration, Sequence[float]]], near: float = NEAR) -> set[str]:
    """Give the keys of the configurations whose mean lies within `near` of the best one's."""
    means = {key(tried): sum(found) / len(found) for tried, found in rows}
    # Accuracies are multiples of one image: a hair's breadth of rounding decides nothing.
    return {name for name, mean in means.items() if mean >= max(means.values()) - near - 1e-9}


def seconds_to_good(ended: Iterable[Ended], wanted: set[str], epochs: int) -> float | None:
    """CPU seconds until a good configuration had been trained to its last epoch; None: never."""
    for each in ended:
        if each.epochs >= epochs and key(each.configuration) in wanted:
            return each.cpu_seconds
    return None
