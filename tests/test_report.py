"""Reports: their arithmetic, their files, and pages that are closed, escaped and complete."""

import csv
import json
import math
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cifar_dist.config import dump_yaml, parse_yaml
from cifar_dist.documents import EpochRecord, TrainDocument, TuneDocument
from cifar_dist.report.evaluation import evaluation, interval, most_confused, noise
from cifar_dist.report.files import write_run, write_sweep
from cifar_dist.report.page import run_page, sections, sweep_page
from cifar_dist.report.rungs import rungs
from cifar_dist.report.verdict import ranked, run_verdict, sweep_verdict
from tests.result_documents import (
    CLASSES,
    CONFUSION,
    evaluated,
    failed_sweep,
    record,
    run_document,
    sweep_document,
    trial,
)

HOSTILE = "<script>alert(1)</script>"
PAGES: dict[str, Callable[[], str]] = {
    "run": cache(lambda: run_page(run_document())),
    "sweep": cache(lambda: sweep_page(sweep_document())),
}
WRITERS: dict[str, Callable[[Path], dict[str, Path]]] = {
    "run": lambda folder: write_run(run_document(), folder),
    "sweep": lambda folder: write_sweep(sweep_document(), folder),
}


@pytest.fixture(scope="module")
def run_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return WRITERS["run"](tmp_path_factory.mktemp("run") / "report")


@pytest.fixture(scope="module")
def sweep_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return WRITERS["sweep"](tmp_path_factory.mktemp("sweep") / "report")


def test_one_class_against_the_rest_matches_a_calculation_by_hand() -> None:
    cat = evaluated().per_class[0]
    assert (cat.tp, cat.fp, cat.fn, cat.tn) == (6, 2, 4, 18)
    assert cat.accuracy == 24 / 30
    assert cat.precision == 6 / 8
    assert cat.recall == 6 / 10
    assert cat.specificity == 18 / 20
    assert cat.f1 == pytest.approx(2 * 0.75 * 0.6 / (0.75 + 0.6))


def test_counts_of_every_class_add_up_to_the_images() -> None:
    result = evaluated()
    for row in result.per_class:
        assert row.tp + row.fp + row.tn + row.fn == result.score.images
    assert result.macro.tp == result.score.correct == 23
    assert result.macro.fp == result.macro.fn
    assert result.macro.f1 == pytest.approx(sum(row.f1 for row in result.per_class) / 3)


def test_a_ratio_without_cases_is_zero() -> None:
    result = evaluation("test", [[0, 0], [0, 0]], math.nan, ["a", "b"])
    assert result.score.accuracy == result.macro.f1 == result.macro.precision == 0.0
    assert result.score.loss is None


def test_the_most_frequent_mistake_of_a_class_is_named() -> None:
    assert most_confused(evaluated(), 0) == ("dog", 3)
    assert most_confused(evaluation("test", [[5, 0], [0, 5]], 0.1, ["a", "b"]), 0) is None


def test_intervals_match_published_values_and_stay_within_bounds() -> None:
    # Newcombe 1998, table I: Wilson's interval for 81 of 263.
    assert interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert interval(10, 10)[1] == pytest.approx(1.0)
    assert interval(0, 0) == (0.0, 1.0)
    assert noise(0.5, 0.5, 1000) == pytest.approx(0.0438, abs=1e-4)


def test_a_run_writes_every_file_it_names(run_files: dict[str, Path]) -> None:
    names = {"report.json", "history.csv", "results.txt", "curves.png", "index.html"}
    assert set(run_files) >= names
    assert {path.name for path in run_files["index.html"].parent.iterdir()} == set(run_files)
    assert all(path.stat().st_size for path in run_files.values())
    with Image.open(run_files["curves.png"]) as picture:
        assert picture.format == "PNG"


def test_the_document_survives_its_file(
    run_files: dict[str, Path], sweep_files: dict[str, Path]
) -> None:
    run = TrainDocument.model_validate_json(run_files["report.json"].read_text())
    sweep = TuneDocument.model_validate_json(sweep_files["report.json"].read_text())
    assert run == run_document()
    assert sweep == sweep_document()


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    job = {"recipe": {"epochs": 3, "odd": math.inf}}
    text = write_run(run_document(job=job), tmp_path)["report.json"].read_text()
    assert json.loads(text, parse_constant=pytest.fail)["job"]["recipe"]["odd"] is None


def test_the_history_survives_its_csv(tmp_path: Path) -> None:
    history = [record(1, None), record(2, 0.1 + 0.2)]
    path = write_run(run_document(history=history), tmp_path)["history.csv"]
    with path.open(newline="") as file:
        rows = [{k: v or None for k, v in row.items()} for row in csv.DictReader(file)]
    assert [EpochRecord.model_validate(row) for row in rows] == history


def test_the_trials_csv_has_a_column_per_setting_and_rung(sweep_files: dict[str, Path]) -> None:
    with sweep_files["trials.csv"].open(newline="") as file:
        first, second, _ = csv.DictReader(file)
    assert float(first["recipe.optimizer.lr"]) == 0.1
    assert (first["rung_1"], first["rung_3"]) == ("0.4", "0.4")
    assert second["rung_3"] == ""


def test_a_setting_that_is_null_differs_from_one_that_a_trial_does_not_have(
    tmp_path: Path,
) -> None:
    job = {"recipe": {"clip": 5.0, "optimizer": {"name": "sgd"}}}
    paths = ["recipe.clip", "recipe.optimizer", "recipe.patience"]
    values = [None, {"name": "adam", "lr": 0.5}, 2]
    trials = [
        trial(0, "finished", 1, parameters={}),
        trial(1, "finished", 1, parameters=dict(zip(paths, values, strict=True))),
    ]
    document = sweep_document(job=job, trials=trials, space={"space": dict.fromkeys(paths)})
    written = write_sweep(document, tmp_path)
    with written["trials.csv"].open(newline="") as file:
        base, other = ([row[path] for path in paths] for row in csv.DictReader(file))
    assert base == ["5.0", '{"name": "sgd"}', ""]
    assert other == ["null", '{"name": "adam", "lr": 0.5}', "2"]
    page = written["index.html"].read_text()
    assert "<td>5</td><td>sgd</td><td>–</td>" in page
    assert "<td>null</td><td>adam(lr=0.5)</td><td>2</td>" in page


def test_results_say_what_they_come_from(run_files: dict[str, Path]) -> None:
    text = run_files["results.txt"].read_text()
    for origin in ("d" * 64, "5" * 64, "1" * 64, "abc1234", "seed        7", "sample"):
        assert origin in text
    assert "3-class accuracy 76.67 % (23 of 30 test images), loss 0.7500" in text
    assert re.search(r"cat\s+6\s+2\s+18\s+4\s+0\.8000\s+0\.7500\s+0\.6000\s+0\.9000", text)


@pytest.mark.parametrize("kind", PAGES)
def test_every_section_of_a_page_appears_with_a_heading(kind: Any) -> None:
    html = PAGES[kind]()
    shown = re.findall(r'<section id="(\w+)">\s*<h2', html)
    assert len(shown) >= 8
    assert set(shown) <= set(sections(kind))
    assert html.count("<section") == len(shown)
    assert re.findall(r'<li><a href="#(\w+)">\w', html) == shown


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_needs_no_network(kind: str) -> None:
    html = PAGES[kind]().replace('http-equiv="', "")
    assert html.count("<script") == 1
    assert "http" not in html
    assert "url(" not in re.sub(r"url\(#", "", html)
    references = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert all(reference.startswith(("data:", "#")) for reference in references)
    assert len(html) < 2_000_000


@pytest.mark.parametrize("kind", PAGES)
def test_every_picture_and_table_speaks_to_a_screen_reader(kind: str) -> None:
    html = PAGES[kind]()
    assert html.count("<svg") == html.count('role="img" aria-label="') >= 2
    for table in re.findall(r"<table.*?</table>", html, re.DOTALL):
        assert 'scope="col"' in table or 'scope="row"' in table


@pytest.mark.parametrize("kind", PAGES)
def test_ids_are_unique_within_a_page(kind: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', PAGES[kind]())
    assert len(ids) == len(set(ids))


def test_injected_names_render_as_text() -> None:
    classes = [HOSTILE, "$x_1$", "b"]
    data = run_document().data.model_copy(update={"source": HOSTILE, "classes": classes})
    common = {
        "store": HOSTILE,
        "data": data,
        "test": evaluated(classes),
        "artifacts": {"a": HOSTILE},
    }
    job = {"recipe": {"model": {"name": HOSTILE}, "seed": HOSTILE}}
    trials = [trial(0, "failed", 1, reason=HOSTILE, parameters={f"recipe.{HOSTILE}": HOSTILE})]
    pages = [
        run_page(run_document(run=HOSTILE, job=job, **common)),
        sweep_page(sweep_document(sweep=HOSTILE, best_job=job, trials=trials, **common)),
    ]
    for html in pages:
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert" in html


def test_the_same_document_gives_the_same_bytes(
    run_files: dict[str, Path], sweep_files: dict[str, Path], tmp_path: Path
) -> None:
    for kind, first in (("run", run_files), ("sweep", sweep_files)):
        second = WRITERS[kind](tmp_path)
        for name, path in first.items():
            assert path.read_bytes() == second[name].read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"history": [record(1, None)]},
        {"history": [record(1, validated=False)], "validation": None, "best_epoch": 1},
        {"test": None},
        {"test": None, "validation": None, "history": [], "best_epoch": 0, "state": "failed"},
    ],
    ids=["null loss", "no validation", "no test", "nothing"],
)
def test_a_run_with_gaps_still_renders(changes: dict[str, Any], tmp_path: Path) -> None:
    written = write_run(run_document(**changes), tmp_path)
    assert "None" not in written["index.html"].read_text()
    assert "None" not in written["results.txt"].read_text()


def test_a_sweep_whose_trials_all_failed_renders_without_a_winner(tmp_path: Path) -> None:
    written = write_sweep(failed_sweep(), tmp_path)
    assert "best.yaml" not in written
    assert "No winner: 2 of 2 trials failed." in written["index.html"].read_text()


def test_a_run_verdict_is_made_from_its_numbers() -> None:
    text = " ".join(run_verdict(run_document()))
    assert "lenet5 (62,006 parameters), trained on 270 images of sample, classifies 76.67 %" in text
    assert "of the 30 test images (95 % interval 59.1–88.2 %) correctly." in text
    assert "The weights of epoch 2 are kept" in text
    assert (
        "The hardest class is cat: 60.0 % recognized, most often taken for dog (3 images)" in text
    )


def test_a_lead_within_the_noise_is_called_that() -> None:
    trials = [trial(0, "finished", 4), trial(1, "finished", 3)]
    text = " ".join(sweep_verdict(sweep_document(trials=trials)))
    assert "Its lead over trial 1 is 1.0 points, inside the noise of 30 validation images" in text
    assert "5 of 12 epochs were run, 58 % saved" in text
    without = sweep_verdict(sweep_document(space={"asha": None}))
    assert "Nothing was pruned, 1 failed: 5 epochs were run." in without


def test_the_winner_is_ranked_first_and_trials_without_score_last() -> None:
    trials = [trial(0, "failed", 0), trial(1, "pruned", 9), trial(2, "finished", 4)]
    document = sweep_document(trials=trials, best=2)
    assert [row.trial for row in ranked(document)] == [2, 1, 0]


def test_a_pruned_trial_is_cut_at_its_last_rung() -> None:
    trials = [trial(0, "finished", 4), trial(1, "pruned", 1), trial(2, "pruned", 3)]
    first, second = rungs(sweep_document(trials=trials))
    assert (first.epoch, first.reached, first.went_on, first.cut) == (1, 3, 2, [1])
    assert (second.epoch, second.reached, second.went_on, second.cut) == (3, 2, 1, [2])


def test_the_best_job_is_yaml_that_reads_back(tmp_path: Path) -> None:
    job = {"shared": CLASSES, "again": CLASSES, "words": ["1e-3", "no", "012", "é"], "lr": 1e-5}
    path = write_sweep(sweep_document(best_job=job), tmp_path)["best.yaml"]
    assert parse_yaml(path.read_text(encoding="utf-8"), "best.yaml") == job
    assert dump_yaml({"a": CONFUSION}) == "a:\n- [6, 3, 1]\n- [2, 8, 0]\n- [0, 1, 9]\n"


def test_large_results_still_fit_in_a_page() -> None:
    long = run_page(run_document(history=[record(epoch) for epoch in range(1, 1001)]))
    trials = [trial(number, "finished", 30) for number in range(800)]
    wide = sweep_page(sweep_document(trials=trials))
    assert max(len(long), len(wide)) < 2_000_000
    assert "(kept)" in long
    assert '<th scope="row">799</th>' in wide
