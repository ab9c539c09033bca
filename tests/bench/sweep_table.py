"""Writes the frozen table of the 27 configurations: `python -m tests.bench.sweep_table`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cifar_dist.config import Job, patched
from cifar_dist.documents import EpochRecord, best_epoch
from cifar_dist.learner import Learner
from cifar_dist.loop import epochs
from cifar_dist.machine import owned_cpus
from cifar_dist.precision import Arithmetic
from cifar_dist.probe import probe
from cifar_dist.session import recipe_data
from tests.bench.rounds import Setting
from tests.bench.sweep_space import (
    TABLE,
    Configuration,
    configurations,
    fingerprint,
    frozen_space,
    key,
    table,
)

_CPU = torch.device("cpu")


def accuracy(job: Job) -> float:
    """Train a job to its end as a trial does; gives its score, 0 if it diverges."""
    dataset = recipe_data(job)
    name = probe(job.recipe, dataset.train, _CPU)["name"]
    learner = Learner(job.recipe, dataset.train, Arithmetic(name, _CPU))
    events = epochs(learner, dataset.validation)
    records = [event for event in events if isinstance(event, EpochRecord)]
    if records[-1].train_loss is None:
        return 0.0
    return records[best_epoch(records) - 1].validation_accuracy or 0.0


def write(setting: Setting, seeds: int, file: Path) -> None:
    """Train every configuration with each seed; what the file holds already stays as it is."""
    space = frozen_space(setting)
    known = _known(file, fingerprint(space), setting.data)
    order = configurations(space, 0)
    scores: list[tuple[Configuration, list[float]]] = [
        (each, known.get(key(each), [])[:seeds]) for each in order
    ]
    for configuration, found in scores:
        while len(found) < seeds:
            changes = {**configuration, "recipe.seed": setting.seed + len(found)}
            found.append(accuracy(patched(space.job, changes)))
            content = json.dumps(table(space, scores), indent=1)
            file.write_text(content + "\n", "utf-8")
        mean = sum(found) / len(found)
        sys.stdout.write(f"{mean:.2%}  {key(configuration)}\n")
        sys.stdout.flush()


def _known(file: Path, space: str, data: str) -> dict[str, list[float]]:
    content: Any = json.loads(file.read_text("utf-8")) if file.exists() else {}
    if content.get("space_sha256") != space or content.get("data") != data:
        return {}
    return {key(row["configuration"]): row["accuracies"] for row in content["rows"]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the table; started again, it goes on."""
    parser = argparse.ArgumentParser("python -m tests.bench.sweep_table", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="of each configuration (%(default)s)")
    parser.add_argument("--data", default="sample", help="images: as a job's recipe.data")
    parser.add_argument("--file", type=Path, default=TABLE)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(owned_cpus())
    write(Setting(data=asked.data), asked.seeds, asked.file)


if __name__ == "__main__":
    main()
