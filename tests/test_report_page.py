"""The parts of a run's page: images behind cells, readouts, calibration, cost, its one script."""

import base64
import dataclasses
import hashlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cifar_dist.documents import Overfitting, TrainDocument
from cifar_dist.evidence import Predictions
from cifar_dist.report.cost import cpu_seconds, gpu_seconds
from cifar_dist.report.curves import charts
from cifar_dist.report.evidence import Evidence
from cifar_dist.report.figures.calibration import pictures
from cifar_dist.report.figures.drawing import style
from cifar_dist.report.files import write_run
from cifar_dist.report.mistakes import sheet
from cifar_dist.report.page import run_page
from cifar_dist.report.verdict import run_verdict
from tests.evidences import drawn_evidence, evidenced_run
from tests.result_documents import JOB, evaluated, run_document, sweep_document


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return drawn_evidence()


@pytest.fixture(scope="module")
def document(evidence: Evidence) -> TrainDocument:
    return evidenced_run(evidence)


def test_every_cell_that_holds_images_shows_the_surest_of_them(
    document: TrainDocument, evidence: Evidence
) -> None:
    found, predictions = sheet(document.test, evidence), evidence.predictions["test"]
    assert found is not None and document.test is not None
    for true, row in enumerate(document.test.confusion_matrix):
        for predicted, count in enumerate(row):
            shown = found.cells.get(f"{true}-{predicted}", [])
            assert len(shown) == min(count, 6)
            images = [image for _, image, _ in shown]
            assert (predictions.labels[images] == true).all()
            assert (predictions.predicted[images] == predicted).all()
            confidences = [confidence for _, _, confidence in shown]
            assert confidences == sorted(confidences, reverse=True)


def test_a_place_on_the_sheet_holds_its_image(document: TrainDocument, evidence: Evidence) -> None:
    found = sheet(document.test, evidence)
    assert found is not None
    with Image.open(io.BytesIO(base64.b64decode(found.uri.partition(",")[2]))) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(float)
    for place, image, _ in (entry for cell in found.cells.values() for entry in cell):
        row, column = divmod(place, found.columns)
        tile = pixels[32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
        assert tile.mean() == pytest.approx(evidence.images["test"][image].mean(), abs=2)


def test_no_cell_opens_where_its_images_are_not_known_or_not_those(
    document: TrainDocument, evidence: Evidence
) -> None:
    labels = evidence.predictions["test"].labels
    odd = Predictions("test", np.full((len(labels), 10), np.nan, np.float32), labels)
    wrong = [
        Evidence(),
        dataclasses.replace(evidence, images={"test": evidence.images["test"][:-1]}),
        dataclasses.replace(evidence, predictions={"test": odd}),
    ]
    assert [sheet(document.test, found) for found in wrong] == [None] * 3
    assert sheet(None, evidence) is None
    assert sheet(evaluated(), evidence) is None
    assert "data-cell=" not in run_page(document).partition("<script>")[0]


def test_a_curve_is_read_where_it_is_drawn(document: TrainDocument) -> None:
    loss, accuracy = (chart.readout for chart in charts(document))
    assert loss is not None and accuracy is not None
    left, top, right, bottom = loss["box"]
    assert 0 < left < right < 1
    assert 0 < top < bottom < 1
    assert loss["x"][0] < 1 and loss["x"][1] > 12
    assert accuracy["share"]
    assert [curve["label"] for curve in loss["curves"]] == ["training", "validation"]
    assert loss["curves"][1]["values"] == [row.validation_loss for row in document.history]


def test_a_long_history_is_read_at_some_of_its_epochs() -> None:
    history = evidenced_run(drawn_evidence(20), epochs=2500).history
    readout = charts(run_document(history=history))[0].readout
    assert readout is not None
    assert readout["epochs"][:3] == [1, 4, 7]
    assert len(readout["epochs"]) <= 1000


def test_curves_of_many_trials_are_not_read() -> None:
    assert [chart.readout for chart in charts(sweep_document())] == [None, None]


def test_calibration_is_drawn_and_told_as_numbers(
    document: TrainDocument, evidence: Evidence
) -> None:
    with style():
        (drawn,) = pictures(document, evidence)
        assert not list(pictures(run_document(), evidence))
    assert drawn.svg is not None and "Reliability" in drawn.svg
    html = run_page(document, evidence, {"calibration": drawn})
    section = html.partition('<section id="calibration">')[2].partition("</section>")[0]
    assert document.test is not None and document.test.calibration is not None
    assert section.count("<tr>") == len(document.test.calibration.bins) + 1
    assert f"divided by {document.test.calibration.temperature:.3f}" in section


def test_only_the_pages_own_script_may_run(document: TrainDocument, evidence: Evidence) -> None:
    html = run_page(document, evidence)
    script = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert len(script[0].splitlines()) <= 150


@pytest.mark.parametrize(
    ("verdict", "words"),
    [("none", "no sign of over-fitting"), ("later", "went on to over-fit and ended 25.0 points"),
     ("kept", "a sign of over-fitting")],
)  # fmt: skip
def test_a_verdict_says_whether_the_model_over_fits(verdict: Any, words: str) -> None:
    judged = Overfitting(gap=0.02, final_gap=0.25, verdict=verdict, rule="the rule")
    sentences = run_verdict(run_document(overfitting=judged))
    assert len(sentences) == 3
    assert words in sentences[1]


def test_a_verdict_names_the_most_frequent_mistake_beside_the_hardest_class(
    document: TrainDocument,
) -> None:
    assert document.test is not None
    pair = document.test.confused[0]
    mistake = f"{pair.true} taken for {pair.predicted} ({pair.images} images)"
    hardest = min(document.test.per_class, key=lambda row: row.recall)
    assert hardest.name != pair.true
    assert run_verdict(document)[-1].endswith(f"the most frequent mistake is {mistake}.")


@pytest.mark.parametrize(
    ("workers", "device", "placement", "cpus", "gpus"),
    [
        (0, "cpu", {}, 15.0, 0.0),
        (2, "cpu", {"cpus_per_worker": 4.0, "gpus_per_worker": 0.0}, 60.0, 0.0),
        (0, "NVIDIA H200", {}, 15.0, 7.5),
        (2, "NVIDIA H200", {}, None, 15.0),
        (2, "NVIDIA H200", {"cpus_per_worker": 1.0, "gpus_per_worker": 0.5}, 15.0, 7.5),
    ],
)
def test_cost_counts_what_the_steps_held(
    workers: int, device: str, placement: dict[str, float], cpus: float | None, gpus: float
) -> None:
    made = run_document().provenance.model_copy(update={"workers": workers, "device": device})
    document = run_document(provenance=made, job={**JOB, "placement": placement})
    assert (cpu_seconds(document), gpu_seconds(document)) == (cpus, gpus)


def test_a_report_with_evidence_is_whole_and_small(
    document: TrainDocument, evidence: Evidence, tmp_path: Path
) -> None:
    written = write_run(document, tmp_path, evidence)
    assert "calibration.png" in written
    assert sum(path.stat().st_size for path in written.values()) < 5_000_000
    text = written["results.txt"].read_text()
    for part in ("95 % interval", "top-2 accuracy", "temperature", "most confused"):
        assert part in text


@pytest.mark.parametrize("kind", ["all right", "all wrong", "not finite"])
def test_a_report_of_odd_predictions_is_written(kind: str, tmp_path: Path) -> None:
    evidence = drawn_evidence(30)
    labels = evidence.predictions["test"].labels
    right = 9.0 * np.eye(10, dtype=np.float32)[labels]
    logits = {"all right": right, "all wrong": np.roll(right, 1, 1), "not finite": np.nan * right}
    odd = {**evidence.predictions, "test": Predictions("test", logits[kind], labels)}
    evidence = dataclasses.replace(evidence, predictions=odd)
    html = write_run(evidenced_run(evidence), tmp_path, evidence)["index.html"].read_text()
    shown = re.sub(r"base64,[^\"]*", "", html.partition("<script>")[0])
    assert not re.search(r"\b(nan|None|inf)\b", shown)
