"""Package a run's best weights: `make_weights.py FOLDER`, as `artifacts get` fetched it."""

import sys
from pathlib import Path

from cifar_dist.api.model import PACKAGED
from cifar_dist.documents import TrainDocument, WeightsDocument
from cifar_dist.learner import WEIGHTS
from cifar_dist.runs import copy_verified
from cifar_dist.store import open_store


def main(folder: Path, output: Path = PACKAGED) -> None:
    """Write `<model>.safetensors` and beside it what they are."""
    run = TrainDocument.model_validate_json((folder / "result.json").read_bytes())
    if run.test is None:
        raise SystemExit(f"{folder} holds no finished run")
    name = run.job["recipe"]["model"]["name"]
    output.mkdir(exist_ok=True)
    path = output / f"{name}.safetensors"
    copy_verified(folder, WEIGHTS, path)
    facts = WeightsDocument(
        **open_store(str(output)).digest(path.name)._asdict(),
        **run.model_dump(include={"data", "provenance", "validation"}),
        recipe=run.job["recipe"],
        test=run.test.score,
    )
    path.with_suffix(".json").write_text(facts.model_dump_json(indent=2) + "\n")
    sys.stdout.write(f"{path}: {facts.bytes} bytes, {facts.test.accuracy:.2%} on test images\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
