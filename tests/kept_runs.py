"""Finished runs as they lie in a store, written by hand in a moment: nothing is trained."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from cifar_dist import load_model
from cifar_dist.checkpoint import WEIGHTS, save_weights
from cifar_dist.dataset.arrays import CLASSES
from cifar_dist.documents import Split, TrainDocument, TuneDocument
from cifar_dist.evidence import ActivationMaps, Predictions, save_predictions
from cifar_dist.runs import Run, Sweep
from cifar_dist.store import Store
from tests.result_documents import facts, run_document, sweep_document, trial
from tests.tiny import make_job

PAGE = b"<title>the page</title>"
NO_MAPS = ActivationMaps(
    np.zeros((0, 4, 4), np.float32), *np.zeros((2, 0), np.int64), "features", "grad_cam"
)


def predicted(correct: list[bool], split: Split = "test") -> Predictions:
    """Predict class 0 of images of class 0 where that is asked for, else class 1."""
    logits = np.zeros((len(correct), 10), np.float32)
    logits[range(len(correct)), [0 if hit else 1 for hit in correct]] = 4.0
    return Predictions(split, logits, np.zeros(len(correct), np.int64))


def keep_run(
    store: Store, name: str, predictions: Predictions | None = None, **changes: Any
) -> TrainDocument:
    """Write a finished run with weights of lenet5, a report and what it predicted."""
    run = Run(store, f"runs/{name}")
    document = a_document(store, run=name, **changes)
    _begin(run, {"job": document.job}, document)
    if predictions is not None:
        with tempfile.TemporaryDirectory() as folder:
            save_predictions(Path(folder, "predictions.npz"), [predictions])
            NO_MAPS.save(Path(folder, "maps.npz"))
            run.write_folder("evidence", Path(folder))
    run.finish(document.model_dump(mode="json"))
    return document


def keep_sweep(store: Store, name: str, **changes: Any) -> TuneDocument:
    """Write a finished sweep whose trial 0 won with weights of lenet5."""
    sweep = Sweep(store, f"sweeps/{name}")
    job = make_job().model_dump(mode="json")
    values = {
        "sweep": name,
        "store": store.uri,
        "job": job,
        "best_job": job,
        "data": facts(list(CLASSES)),
        "winner_run": sweep.trial(0).prefix,
        "trials": [trial(0, "finished", 4), trial(1, "pruned", 1)],
    }
    document = sweep_document(**{**values, **changes})
    _begin(sweep.trial(0), {"job": job}, document)
    sweep.create({"space": {**document.space, "job": document.job}})
    _report(sweep)
    sweep.finish(document.model_dump(mode="json"))
    return document


def a_document(store: Store, **changes: Any) -> TrainDocument:
    """Give the document of a run of the tiny job."""
    values = {
        "store": store.uri,
        "job": make_job().model_dump(mode="json"),
        "data": facts(list(CLASSES)),
    }
    return run_document(**{**values, **changes})


def _begin(run: Run, head: dict[str, Any], document: TrainDocument | TuneDocument) -> None:
    run.create({**head, "data": document.data.model_dump(mode="json")})
    with tempfile.TemporaryDirectory() as folder:
        save_weights(load_model("lenet5"), Path(folder, WEIGHTS))
        run.pin("best", run.claim_attempt().commit(Path(folder), step=1, epoch=1, metrics={}))
    _report(run)


def _report(dossier: Run | Sweep) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "index.html").write_bytes(PAGE)
        dossier.write_report(Path(folder))
