"""Hand-made result documents, small enough to check by hand."""

from typing import Any

from cifar_dist.documents import (
    DataFacts,
    EpochRecord,
    Evaluation,
    Provenance,
    Rung,
    Score,
    SweepCost,
    TrainDocument,
    TrialRow,
    TrialState,
    TuneDocument,
)
from cifar_dist.report.evaluation import evaluation

CLASSES = ["cat", "dog", "ship"]
CONFUSION = [[6, 3, 1], [2, 8, 0], [0, 1, 9]]
JOB: dict[str, Any] = {
    "name": None,
    "recipe": {"model": {"name": "lenet5", "dropout": 0.2}, "epochs": 3, "seed": 7},
    "store": "s3://bucket/results",
}


def record(epoch: int, loss: float | None = 1.0, *, validated: bool = True) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        train_loss=loss,
        train_accuracy=0.5 + epoch / 100,
        validation_loss=1.25 if validated else None,
        validation_accuracy=0.48 + epoch / 100 if validated else None,
        lr=0.1 / epoch,
        seconds=2.5,
        images_per_second=18000.0,
    )


def facts(classes: list[str] | None = None) -> DataFacts:
    return DataFacts(
        source="sample",
        sha256="d" * 64,
        classes=classes or CLASSES,
        train_images=270,
        validation_images=30,
        test_images=30,
        split_sha256="5" * 64,
    )


def provenance() -> Provenance:
    return Provenance(
        code_version="0.1.0",
        code_revision="abc1234",
        python="3.12.1",
        torch="2.11.0",
        device="cpu",
        cpus=2,
        workers=1,
        precision="fp32",
        precision_reason="bf16 was slower",
        lock_sha256="1" * 64,
    )


def evaluated(classes: list[str] | None = None) -> Evaluation:
    return evaluation("test", CONFUSION, 0.75, classes or CLASSES)


def run_document(**changes: Any) -> TrainDocument:
    history = [record(1), record(2, 0.8), record(3, 0.7)]
    values: dict[str, Any] = {
        "run": "lenet5-0a1b2c3d",
        "store": "s3://bucket/results",
        "state": "finished",
        "job": JOB,
        "data": facts(),
        "provenance": provenance(),
        "parameters": 62006,
        "history": history,
        "best_epoch": 2,
        "validation": Score(split="validation", images=30, correct=15, accuracy=0.5, loss=1.25),
        "test": evaluated(),
        "images_per_second": 18000.0,
        "train_seconds": 7.5,
        "total_seconds": 10.0,
        "artifacts": {"model": "runs/lenet5-0a1b2c3d/report/model.safetensors"},
    }
    return TrainDocument(**{**values, **changes})


def trial(number: int, state: TrialState, epochs: int, **changes: Any) -> TrialRow:
    values: dict[str, Any] = {
        "trial": number,
        "state": state,
        "reason": None if state == "finished" else f"reason of trial {number}",
        "parameters": {"recipe.optimizer.lr": 0.1 * (number + 1)},
        "epochs": epochs,
        "best_epoch": epochs or None,
        "validation_loss": 1.25 if epochs else None,
        "validation_accuracy": 0.48 + epochs / 100 if epochs else None,
        "rungs": [Rung(epoch=rung, value=0.4 + number / 10) for rung in (1, 3) if rung <= epochs],
        "history": [record(epoch) for epoch in range(1, epochs + 1)],
        "start_seconds": 0.2,
        "train_seconds": 2.5 * epochs,
    }
    return TrialRow(**{**values, **changes})


def sweep_document(**changes: Any) -> TuneDocument:
    trials = [trial(0, "finished", 4), trial(1, "pruned", 1), trial(2, "failed", 0)]
    values: dict[str, Any] = {
        "sweep": "quickstart-0a1b2c3d",
        "store": "s3://bucket/results",
        "space": {
            "trials": 3,
            "asha": {"grace_epochs": 1, "reduction_factor": 3},
            "space": {"recipe.optimizer.lr": {"loguniform": [0.01, 1.0]}},
        },
        "job": JOB,
        "data": facts(),
        "provenance": provenance(),
        "trials": trials,
        "best": 0,
        "best_job": JOB,
        "winner_run": "sweeps/quickstart-0a1b2c3d/trials/0",
        "validation": Score(split="validation", images=30, correct=15, accuracy=0.5, loss=1.25),
        "test": evaluated(),
        "finished": 1,
        "pruned": 1,
        "failed": 1,
        "start_seconds_median": 0.2,
        "cost": SweepCost(
            wall_seconds=20.0,
            cpu_seconds=40.0,
            gpu_seconds=0.0,
            epochs_run=5,
            epochs_without_pruning=12,
        ),
        "artifacts": {},
    }
    return TuneDocument(**{**values, **changes})


def failed_sweep() -> TuneDocument:
    nothing = {"best": None, "best_job": None, "winner_run": None, "validation": None, "test": None}
    trials = [trial(number, "failed", 0, start_seconds=None) for number in range(2)]
    return sweep_document(
        trials=trials, finished=0, pruned=0, failed=2, start_seconds_median=None, **nothing
    )
