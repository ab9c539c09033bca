"""Package a run's best weights: `make_weights.py FOLDER`, as `artifacts get` fetched it."""

import sys
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from cifar_dist.api.model import PACKAGED
from cifar_dist.checkpoint import load_weights
from cifar_dist.config import Job, parse_job
from cifar_dist.documents import Score, TrainDocument, WeightsDocument
from cifar_dist.learner import WEIGHTS, build_model
from cifar_dist.loop import predict
from cifar_dist.report.evaluation import evaluated
from cifar_dist.runs import copy_verified
from cifar_dist.session import recipe_data
from cifar_dist.store import open_store
from cifar_dist.world import World

_HALVED_BYTES = 1 << 20
"""Larger files are stored as float16, and evaluated as they are stored."""
_LARGEST_BYTES = 1 << 23
"""Of larger files only the card is kept: what was reached, and the sum of the weights."""


def main(folder: Path, output: Path = PACKAGED) -> None:
    """Write `<model>.safetensors` and beside it what they are."""
    run = TrainDocument.model_validate_json((folder / "result.json").read_bytes())
    if run.test is None:
        raise SystemExit(f"{folder} holds no finished run")
    job = parse_job(run.job)
    output.mkdir(exist_ok=True)
    path = output / f"{job.recipe.model.name}.safetensors"
    copy_verified(folder, WEIGHTS, path)
    scores = {"validation": run.validation, "test": run.test.score}
    is_packaged = path.stat().st_size <= _LARGEST_BYTES
    if is_packaged and path.stat().st_size > _HALVED_BYTES:
        save_file({name: _halved(weights) for name, weights in load_file(path).items()}, path)
        scores = _evaluated(path, job)
    source = Path(run.data.source).name  # where it lay is nobody's business
    facts = WeightsDocument(
        **open_store(str(output)).digest(path.name)._asdict(),
        **run.model_dump(include={"provenance", "train_seconds"}),
        data=run.data.model_copy(update={"source": source}),
        recipe={**run.job["recipe"], "data": source},
        **scores,
    )
    path.with_suffix(".json").write_text(facts.model_dump_json(indent=2) + "\n")
    if not is_packaged:
        path.unlink()
    sys.stdout.write(f"{path}: {facts.bytes} bytes, {facts.test.accuracy:.2%} on test images\n")


def _halved(weights: Tensor) -> Tensor:
    return weights.half() if weights.is_floating_point() else weights


def _evaluated(path: Path, job: Job) -> dict[str, Score]:
    model = build_model(job.recipe.model, job.recipe.seed)
    load_weights(model, path)
    data = recipe_data(job)
    return {
        split: evaluated(predict(model, images, split, World()), data.classes).score
        for split, images in data.splits().items()
        if split != "train"
    }


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
