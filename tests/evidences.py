"""Evidence of a run that was never trained: drawn predictions of drawn images."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_dist.documents import DataFacts, Split, SplitStatistics, TrainDocument
from cifar_dist.evidence import ActivationMaps, Film, Predictions, galleries, shown
from cifar_dist.report.evaluation import evaluated
from cifar_dist.report.evidence import Evidence
from tests.result_documents import record, run_document

NAMES = [
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
]  # fmt: skip


def predictions(split: Split, labels: NDArray[np.int64], seed: int = 0) -> Predictions:
    """Draw logits of which about half are right; neighbors are confused most."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0.0, 1.2, (len(labels), 10)).astype(np.float32)
    rows = np.arange(len(labels))
    logits[rows, labels] += 2.0
    logits[rows, labels ^ 1] += 1.0
    return Predictions(split, logits, labels)


def drawn_images(labels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Draw an image per label, as bright as its class is late."""
    noise = np.random.default_rng(1).integers(0, 90, (len(labels), 3, 32, 32))
    return (noise + 16 * labels[:, None, None, None]).astype(np.uint8)


def drawn_evidence(count: int = 400, images: NDArray[np.uint8] | None = None) -> Evidence:
    """Give evidence of `count` validation and as many test images."""
    labels = np.arange(count) % 10
    pixels = drawn_images(labels) if images is None else images
    splits: tuple[Split, ...] = ("validation", "test")
    return Evidence(
        predictions={split: predictions(split, labels, seed) for seed, split in enumerate(splits)},
        images=dict.fromkeys(splits, pixels),
        labels=dict.fromkeys(splits, labels),
    )


def rich_evidence(names: Sequence[str] = NAMES) -> Evidence:
    """Give evidence of every kind that a page shows class names with."""
    evidence, draw = drawn_evidence(), np.random.default_rng(2)
    test = evidence.predictions["test"]
    indices = shown(galleries(test, 7))
    film = Film(
        epochs=(1, 2),
        maps=draw.random((2, 10, 4, 4)).astype(np.float32),
        predicted=np.zeros((2, 10), np.int64),
        confidences=draw.random((2, 10)),
        images=drawn_images(np.arange(10)),
        layer="features",
        method="grad_cam",
    )
    maps = ActivationMaps(
        maps=draw.random((len(indices), 4, 4)).astype(np.float32),
        indices=indices,
        targets=test.predicted[indices],
        layer="features",
        method="grad_cam",
    )
    return dataclasses.replace(evidence, film=film, maps=maps, statistics=[_statistics(names)])


def _statistics(names: Sequence[str]) -> SplitStatistics:
    channels = {key: [0.1, 0.2, 0.3] for key in ("min", "max", "mean", "std", "variance")}
    counts = dict.fromkeys(names, 40)
    return SplitStatistics(
        split="test", images=400, shape=[400, 3, 32, 32], class_counts=counts, **channels
    )


def evidenced_run(evidence: Evidence, epochs: int = 12, **changes: Any) -> TrainDocument:
    """Give the document that goes with drawn evidence; `names` may replace the classes'."""
    names = changes.pop("names", NAMES)
    data = DataFacts(**{**run_document().data.model_dump(), "classes": names})
    found = {split: evaluated(part, names, evidence.predictions["validation"])
             for split, part in evidence.predictions.items()}  # fmt: skip
    history = [
        record(epoch, 2.0 / epoch**0.4).model_copy(
            update={
                "train_accuracy": 0.7 - 0.4 / epoch**0.5,
                "validation_loss": 1.2 + 0.9 / epoch**0.6 + 0.004 * epoch,
                "validation_accuracy": 0.62 - 0.35 / epoch**0.5,
            }
        )
        for epoch in range(1, epochs + 1)
    ]
    values = {
        "data": data,
        "history": history,
        "best_epoch": min(history, key=lambda row: row.validation_loss or 0.0).epoch,
        "validation": found["validation"].score,
        "validation_evaluation": found["validation"],
        "test": found["test"],
    }
    return run_document(**{**values, **changes})
