"""The files of a report, written into one folder."""

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cifar_dist.config import dump_yaml
from cifar_dist.documents import Document, EpochRecord, TrainDocument, TuneDocument
from cifar_dist.report.curves import curves_png
from cifar_dist.report.evidence import Evidence
from cifar_dist.report.figures import run_pictures, winner_pictures
from cifar_dist.report.guarded import guarded
from cifar_dist.report.page import run_page, sweep_page
from cifar_dist.report.pictures import Picture
from cifar_dist.report.results import run_results, sweep_results
from cifar_dist.report.study import study
from cifar_dist.report.study_text import study_data
from cifar_dist.report.sweep_figures import sweep_pictures

_TRIAL_COLUMNS = (
    "trial",
    "state",
    "reason",
    "epochs",
    "best_epoch",
    "validation_loss",
    "validation_accuracy",
    "start_seconds",
    "train_seconds",
)
_NOTHING = Evidence()


def write_run(
    document: TrainDocument, folder: Path, evidence: Evidence = _NOTHING
) -> dict[str, Path]:
    """Write a run's report.json, history.csv, results.txt, index.html and every figure."""
    pictures = run_pictures(document, evidence)
    texts = {
        "report.json": _json(document),
        "results.txt": run_results(document),
        "index.html": run_page(document, evidence, pictures),
    }
    written = _written(texts, folder)
    written["history.csv"] = _csv(
        folder / "history.csv",
        list(EpochRecord.model_fields),
        (record.model_dump() for record in document.history),
    )
    return written | _drawn(pictures, folder) | _curves(document, folder)


def write_sweep(
    document: TuneDocument, folder: Path, evidence: Evidence = _NOTHING
) -> dict[str, Path]:
    """Write a sweep's report.json, study.json, trials.csv, results.txt, index.html and figures.

    If a trial won, best.yaml is its job, and the evidence is its own.
    """
    known = study(document)
    pictures = sweep_pictures(document, known) | winner_pictures(document, evidence)
    texts = {
        "report.json": _json(document),
        "study.json": json.dumps(study_data(known), indent=2) + "\n",
        "results.txt": sweep_results(document, known),
        "index.html": sweep_page(document, pictures, known, evidence),
    }
    if document.best_job is not None:
        texts["best.yaml"] = dump_yaml(document.best_job)
    written = _written(texts, folder)
    rungs = sorted({rung.epoch for trial in document.trials for rung in trial.rungs})
    settings = sorted({path for trial in document.trials for path in document.settings(trial)})
    columns = [*_TRIAL_COLUMNS, *(f"rung_{epoch}" for epoch in rungs), *settings]
    written["trials.csv"] = _csv(folder / "trials.csv", columns, _trial_rows(document))
    return written | _drawn(pictures, folder) | _curves(document, folder)


def _trial_rows(document: TuneDocument) -> Iterable[dict[str, Any]]:
    for trial in document.trials:
        values = trial.model_dump(include=set(_TRIAL_COLUMNS))
        rungs = {f"rung_{rung.epoch}": rung.value for rung in trial.rungs}
        # An empty cell is a setting that the trial does not have.
        settings = {k: "null" if v is None else v for k, v in document.settings(trial).items()}
        yield {**values, **rungs, **settings}


def _json(document: Document) -> str:
    return document.model_dump_json(indent=2) + "\n"


def _written(texts: Mapping[str, str], folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return {name: folder / name for name in texts}


def _drawn(pictures: Mapping[str, Picture], folder: Path) -> dict[str, Path]:
    for picture in pictures.values():
        (folder / picture.file).write_bytes(picture.data)
    return {picture.file: folder / picture.file for picture in pictures.values()}


def _csv(path: Path, columns: list[str], rows: Iterable[Mapping[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _cell(value) for name, value in row.items()})
    return path


def _cell(value: object) -> object:
    return json.dumps(value) if isinstance(value, bool | list | dict) else value


def _curves(document: TrainDocument | TuneDocument, folder: Path) -> dict[str, Path]:
    drawn = guarded("curves.png", curves_png, document)
    if drawn is None:
        return {}
    path = folder / "curves.png"
    path.write_bytes(drawn)
    return {path.name: path}
