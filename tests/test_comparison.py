"""Runs side by side: what is compared, on which images, and what a page shows of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.api.compare import compare
from cifar_dist.documents import CompareDocument
from cifar_dist.errors import ConfigError, RefusedError
from cifar_dist.evidence import Predictions
from cifar_dist.report.comparison import (
    Contender,
    comparison,
    differences,
    run_column,
    stability,
    sweep_column,
)
from cifar_dist.report.comparison_page import comparison_page, curves
from cifar_dist.report.summaries import compare_table
from cifar_dist.runs import Run
from cifar_dist.store import Store, open_store
from tests.checkpoints import flip
from tests.commands import Program, document
from tests.kept_runs import keep_run, keep_sweep, predicted
from tests.result_documents import (
    facts,
    failed_sweep,
    record,
    run_document,
    sweep_document,
)

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
FIRST, SECOND = [True] * 6 + [False] * 4, [True] * 4 + [False] * 2 + [True] * 3 + [False]


def contender(name: str, predictions: Predictions | None = None, **changes: Any) -> Contender:
    """Give a run of two settings."""
    column = run_column(run_document(run=name, **changes))
    found = {} if predictions is None else {predictions.split: predictions}
    return Contender(column, {"seed": 7, "model": {"name": name}}, found)


def pair(**changes: Any) -> CompareDocument:
    """Compare two runs, the second of which is changed."""
    one, other = contender("a", predicted(FIRST)), contender("b", predicted(SECOND), **changes)
    return comparison("store", [one, other])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = open_store(str(tmp_path / "store"))
    keep_run(opened, "a-00000000", predicted(FIRST))
    keep_run(opened, "b-00000000", predicted(SECOND), parameters=5)
    return opened


def test_images_are_counted_by_who_recognizes_them() -> None:
    (test,) = pair().tests
    assert (test.both, test.only_first, test.only_second, test.neither) == (4, 2, 3, 1)
    assert test.difference == pytest.approx(0.1)
    assert test.p_mid == test.p_adjusted
    assert test.split == "test"


def test_other_images_are_not_tested_and_it_is_said_why() -> None:
    found = pair(data=facts().model_copy(update={"sha256": "e" * 64}))
    assert "SHA-256 differs" in (found.tests[0].reason or "")
    assert (found.same_data, found.same_split) == (False, False)
    assert "not tested, as their images are not the same" in compare_table(found)


def test_another_split_leaves_the_test_images_the_same() -> None:
    found = pair(data=facts().model_copy(update={"split_sha256": "6" * 64}))
    assert found.tests[0].split == "test"
    assert (found.same_data, found.same_split) == (True, False)


def test_validation_images_are_compared_only_if_they_are_the_same() -> None:
    other = facts().model_copy(update={"split_sha256": "6" * 64})
    parts = [predicted(part, "validation") for part in (FIRST, SECOND)]
    one = contender("a", parts[0])
    for changes, split in (({}, "validation"), ({"data": other}, None)):
        found = comparison("store", [one, contender("b", parts[1], **changes)])
        assert found.tests[0].split == split


def test_a_run_without_predictions_is_compared_by_its_numbers_alone() -> None:
    found = comparison("store", [contender("a", predicted(FIRST)), contender("b")])
    assert found.tests[0].reason == "b kept no predictions of single images"
    assert found.runs[1].test is not None


def test_each_pair_is_tested_and_corrected_for_their_number() -> None:
    runs = [
        contender(name, predicted(part))
        for name, part in zip("abc", [FIRST, SECOND, FIRST], strict=True)
    ]
    found = comparison("store", runs)
    assert [(test.first, test.second) for test in found.tests] == [
        ("a", "b"), ("a", "c"), ("b", "c"),
    ]  # fmt: skip
    assert all((test.p_adjusted or 0) >= (test.p_mid or 1) for test in found.tests)


def test_the_gap_is_training_minus_test_accuracy_of_the_kept_epoch() -> None:
    column = run_column(run_document())
    assert column.train_accuracy == record(2).train_accuracy
    assert column.generalization_gap == pytest.approx(0.52 - 23 / 30)
    assert column.overfitting is not None and column.overfitting.verdict == "none"
    assert run_column(run_document(history=[])).generalization_gap is None


def test_stability_is_the_deviation_of_the_last_losses() -> None:
    losses = [9.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    history = [record(1).model_copy(update={"validation_loss": loss}) for loss in losses]
    assert stability(history) == pytest.approx(1.5811388)
    assert stability(history[:1]) is None


def test_only_settings_that_differ_are_listed() -> None:
    rows = differences([{"seed": 1, "lr": 0.1, "steps": [1]}, {"seed": 1, "lr": 0.2}])
    assert [(row.path, row.values, row.present) for row in rows] == [
        ("lr", [0.1, 0.2], [True, True]),
        ("steps.0", [1, None], [True, False]),
    ]
    assert differences([{"a": None}, {}])[0].present == [True, False]
    assert differences([{"a": 1}, {"a": 1}]) == []


def test_a_sweeps_winner_stands_for_it() -> None:
    column = sweep_column(sweep_document())
    assert (column.name, column.kind, column.epochs) == ("quickstart-0a1b2c3d", "sweep", 4)
    again = sweep_column(sweep_document(), run_document(parameters=9))
    assert (again.name, again.parameters, again.epochs) == ("quickstart-0a1b2c3d", 9, 3)


def test_a_page_shows_names_as_text_and_every_section() -> None:
    one, other = contender(HOSTILE, predicted(FIRST)), contender("b", predicted(SECOND))
    text = comparison_page(comparison(HOSTILE, [one, other]))
    assert "<script>alert" not in text and "<img src=x" not in text
    assert text.count("<script>") == 1
    for section in ("measures", "tests", "curves", "recipes"):
        assert f'<section id="{section}">' in text
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize("count", [2, 4, 6])
def test_curves_are_drawn_side_by_side_even_of_empty_histories(count: int) -> None:
    runs = [contender(str(index), history=[] if index else [record(1)]) for index in range(count)]
    drawn = curves([run.column for run in runs])
    assert drawn.data.startswith(b"\x89PNG")
    assert "1: validation loss not measured" in drawn.alt


def test_runs_and_sweeps_of_a_store_are_compared(store: Store) -> None:
    keep_sweep(store, "s-00000000")
    found = compare(store, ["a-00000000", "b-00000000", "s-00000000"])
    assert [run.kind for run in found.runs] == ["run", "run", "sweep"]
    assert found.tests[0].only_second == 3
    assert "kept no predictions" in (found.tests[1].reason or "")


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["a-00000000"], "from 2 to 6"),
        (["a-00000000"] * 2, "named 2 times"),
        (["a-00000000", "c-00000000"], "did you mean"),
    ],
)
def test_what_cannot_be_compared_is_refused(names: list[str], sentence: str, store: Store) -> None:
    with pytest.raises(ConfigError, match=sentence):
        compare(store, names)


def test_a_winner_that_was_trained_again_is_compared_as_that_run(store: Store) -> None:
    keep_sweep(store, "s-00000000", winner_run="runs/b-00000000")
    found = compare(store, ["a-00000000", "s-00000000"])
    assert (found.runs[1].name, found.runs[1].parameters) == ("s-00000000", 5)
    assert found.tests[0].only_second == 3


def test_a_sweep_without_a_winner_is_not_compared(store: Store) -> None:
    nothing = failed_sweep().model_dump(include={"best", "best_job", "winner_run", "test"})
    keep_sweep(store, "t-00000000", **nothing)
    with pytest.raises(RefusedError, match="has no winner"):
        compare(store, ["a-00000000", "t-00000000"])


def test_damaged_predictions_leave_the_numbers_to_compare(store: Store, tmp_path: Path) -> None:
    flip(tmp_path / "store" / "runs" / "a-00000000" / "evidence" / "000001" / "predictions.npz")
    found = compare(store, ["a-00000000", "b-00000000"])
    assert "kept no predictions" in (found.tests[0].reason or "")
    assert found.runs[0].test is not None


def test_an_unfinished_run_is_not_compared(store: Store) -> None:
    Run(store, "runs/u-00000000").create({"job": {}})
    with pytest.raises(RefusedError, match="u-00000000 is not finished"):
        compare(store, ["a-00000000", "u-00000000"])


def test_the_command_prints_a_table_or_a_document_and_writes_a_page_once(
    store: Store, program: Program, folder: Path
) -> None:
    line = ["artifacts", "compare", "a-00000000", "b-00000000", "--store", store.uri]
    ended = program(*line, "--output", "page.html")
    assert ended.code == 0
    assert "b-00000000 against a-00000000: +10.00 points on the same 10 test images" in " ".join(
        ended.out.split()
    )
    assert "<h2>Learning curves</h2>" in (folder / "page.html").read_text()
    assert program(*line, "--output", "page.html").code == 5
    found = document("compare", program(*line, "--json").out)
    assert found == json.loads(compare(store, line[2:4]).model_dump_json())


def test_names_cannot_steer_a_terminal() -> None:
    assert "\x1b" not in compare_table(
        comparison("s", [contender("a\x1b[2J", predicted(FIRST)), contender("b")])
    )
