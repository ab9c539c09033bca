"""What a sweep's report works out: columns, importance, rungs and lanes."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cifar_dist.documents import Rung, TrialRow, TrialSpan, TuneDocument
from cifar_dist.report.axes import Axis, axes
from cifar_dist.report.confirmation import confirmation
from cifar_dist.report.files import write_sweep
from cifar_dist.report.importance import importance, score
from cifar_dist.report.page import sweep_page
from cifar_dist.report.rungs import rungs
from cifar_dist.report.slots import lanes
from cifar_dist.report.study import study
from cifar_dist.report.sweep_figures import sweep_pictures
from tests.result_documents import sweep_document, trial
from tests.sweep_reports import recorded_sweep

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)</script>\u202e$x_1$'
FIGURES = {"parallel", "parameters", "importance", "rungs", "slots"}


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    """Draw few pixels and grow few trees: what is told of them is the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cifar_dist.report.figures.drawing.DPI", 30)
        patch.setattr("cifar_dist.report.importance._REPEATS", 3)
        patch.setattr("cifar_dist.report.importance._TREES", 8)
        yield


@pytest.fixture
def no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw figures for a page alone."""
    monkeypatch.setattr("cifar_dist.report.figures.drawing.png", lambda figure: b"")


@pytest.fixture(scope="module")
def whole() -> TuneDocument:
    """Give a sweep with further seeds of its three best."""
    document = recorded_sweep(60)
    best = [(document.best or 0), 7, 9]
    results = {n: [(f"run-{s}", 0.4 - n / 1000 + s / 100) for s in range(3)] for n in best}
    return document.model_copy(update={"confirmed": confirmation([1, 2, 3], results)})


@pytest.fixture(scope="module")
def files(whole: TuneDocument, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_sweep(whole, tmp_path_factory.mktemp("sweep"))


def by_label(document: TuneDocument) -> dict[str, Axis]:
    return {axis.label: axis for axis in axes(document)}


def of(*values: Any, form: Any = None) -> Axis:
    """Give the column of a setting, and only it, with these values."""
    trials = [trial(n + 1, "finished", 1, parameters={"recipe.x": v}) for n, v in enumerate(values)]
    (axis, *_) = axes(sweep_document(trials=trials, space={"space": {"recipe.x": form}}))
    return axis


def test_parameters_inside_a_choice_are_columns_with_gaps_where_it_is_not_chosen() -> None:
    found = by_label(recorded_sweep(60))
    assert list(found) == ["optimizer", "sgd lr", "sgd momentum", "adamw lr", "dropout"]
    chosen, inner = found["optimizer"], found["adamw lr"]
    adamw = chosen.categories.index("adamw")
    for option, lr in zip(chosen.values, inner.values, strict=True):
        assert (lr is not None) == (option == adamw)
    assert inner.scale == "log"
    units = [unit for unit in inner.units if unit is not None]
    assert (min(units), max(units)) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("values", "form", "scale", "expected"),
    [
        ([1, 10, 100], {"loguniform": [1, 100]}, "log", [0.0, 0.5, 1.0]),
        ([1, 2, 5], {"integer": [1, 5]}, "linear", [0.0, 0.25, 1.0]),
        ([0.5, None, 1.5], {"uniform": [0.5, 1.5]}, "linear", [0.0, None, 1.0]),
        ([True, False, True], None, "category", [0.0, 1.0, 0.0]),
        ([64, 32], {"choice": [32, 64]}, "category", [1.0, 0.0]),
        ([None, 1.0], {"choice": [None, 1.0]}, "category", [0.0, 1.0]),
    ],
)
def test_a_column_is_spaced_as_its_space_says(
    values: list[Any], form: Any, scale: str, expected: list[float | None]
) -> None:
    axis = of(*values, form=form)
    assert axis.scale == scale
    assert axis.units == pytest.approx(expected)


def test_long_choices_are_named_by_where_they_differ() -> None:
    flip, crop, cut = {"name": "flip"}, {"name": "crop"}, {"name": "cutout", "size": 8}
    options = [[flip, crop], [flip, crop, cut], [flip, cut], [flip, {**crop, "padding": 4}]]
    axis = of(*options, form={"choice": options})
    assert axis.categories == ("… crop (1)", "… crop + cutout", "… cutout", "… crop (4)")


@pytest.mark.usefixtures("no_pixels")
def test_an_option_that_is_a_range_or_a_choice_is_labeled_by_itself(tmp_path: Path) -> None:
    form = {"choice": [0.0, {"uniform": [0.05, 0.2]}, {"choice": [1.0, {"integer": [2, 4]}]}]}
    values = [0.0, 0.1, 1.0, 3]
    rows = [trial(n, "finished", 4, parameters={"recipe.x": v}) for n, v in enumerate(values)]
    document = sweep_document(trials=rows, space={"space": {"recipe.x": form}})
    assert '{"uniform": [0.05, 0.2]}' in by_label(document)
    assert {"parallel.png", "trials.csv"} <= set(write_sweep(document, tmp_path))


def test_a_report_is_written_even_if_nothing_can_be_drawn_or_worked_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: object) -> None:
        raise IndexError("list index out of range")

    for place in ("study.axes", "study.importance", "files.curves_png", "page.charts"):
        monkeypatch.setattr(f"cifar_dist.report.{place}", failing)
    for module in FIGURES:
        monkeypatch.setattr(f"cifar_dist.report.sweep_figures.{module}.pictures", failing)
    written = write_sweep(sweep_document(), tmp_path)
    assert [name for name in written if name.endswith(".png")] == ["confusion.png"]  # the winner's
    assert "It could not be worked out" in written["index.html"].read_text("utf-8")
    assert len(caplog.records) == 4 + len(FIGURES)


def test_the_learning_rate_matters_more_than_all_else_in_the_recorded_sweep() -> None:
    found = importance(document := recorded_sweep(150), axes(document))
    shares = {share.label: share for share in found.shares}
    rate = max(shares["sgd lr"].mean, shares["adamw lr"].mean)
    assert found.explained is not None and found.explained > 0.5
    assert rate > 3 * max(shares["dropout"].mean, shares["sgd momentum"].mean)
    assert shares["sgd lr"].trials + shares["adamw lr"].trials == found.trials - 1


def test_nothing_is_said_of_few_trials_or_of_scores_that_do_not_follow_from_settings() -> None:
    few = recorded_sweep(15)
    assert "Too few" in (importance(few, axes(few)).silence or "")
    rows = [trial(n, "finished", 1, validation_accuracy=(n * 0.6180339887) % 1) for n in range(60)]
    chance = sweep_document(trials=rows[::-1])
    shuffled = [
        row.model_copy(update={"parameters": {"recipe.x": (n * 17 % 60) * 7919 % 60}})
        for n, row in enumerate(chance.trials)
    ]
    document = sweep_document(trials=shuffled)
    found = importance(document, axes(document))
    assert found.shares == []
    assert "the forest has R²" in (found.silence or "")
    same = [row.model_copy(update={"parameters": {"recipe.x": 1}}) for row in rows]
    alike = sweep_document(trials=same, space={"space": {}})
    assert "no parameter varied" in (importance(alike, axes(alike)).silence or "")


def test_a_pruned_trial_is_scored_by_its_last_rung() -> None:
    rows = [Rung(epoch=3, value=0.4), Rung(epoch=1, value=0.6)]
    assert score(trial(0, "pruned", 3, rungs=rows, validation_accuracy=0.7)) == 0.4
    assert score(trial(0, "finished", 3, rungs=rows, validation_accuracy=0.7)) == 0.7
    assert score(trial(0, "failed", 0)) is None


def ended(number: int, state: Any, end: float, *values: float) -> TrialRow:
    told = [Rung(epoch=epoch, value=v) for epoch, v in zip((1, 3, 9), values, strict=False)]
    return trial(number, state, 9, rungs=told, validation_accuracy=end)


def test_overtaking_is_counted_among_trials_that_both_finished() -> None:
    rows = [
        ended(0, "finished", 0.9, 0.2, 0.8),
        ended(1, "finished", 0.7, 0.3, 0.7),
        ended(2, "finished", 0.6, 0.1, 0.9),
        ended(3, "pruned", 0.5, 0.5),
    ]
    first, second = rungs(sweep_document(trials=rows, best=0))
    assert (first.pairs, first.overtaken, first.winner_place) == (3, 1, 3)
    assert (second.pairs, second.overtaken, second.winner_place) == (3, 2, 2)


def span(number: int, begin: float, end: float) -> TrialSpan:
    return TrialSpan(trial=number, begin_seconds=begin, end_seconds=end)


@pytest.mark.parametrize(("slots", "count"), [(None, 2), (3, 3)])
def test_lanes_hold_spans_that_do_not_overlap_and_all_time_is_accounted_for(
    slots: int | None, count: int
) -> None:
    spans = (span(1, 1.0, 4.0), span(0, 0.0, 10.0), span(2, 4.0, 8.0), span(1, 12.0, 14.0))
    found = lanes(sweep_document(spans=spans, slots=slots))
    assert len(found.lanes) == count
    assert found.are_told == (slots is not None)
    for lane in found.lanes:
        assert all(a.end_seconds <= b.begin_seconds for a, b in pairwise(lane))
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert found.idle_seconds == count * 20.0 - 19.0


def test_every_figure_is_a_file_and_stands_in_the_page(files: dict[str, Path]) -> None:
    page = files["index.html"].read_text("utf-8")
    for name in (*FIGURES, "confirmation"):
        with Image.open(files[f"{name}.png"]) as picture:
            assert picture.format == "PNG"
        assert f'id="{name}-' in page
    assert "var(--page)" in page


def test_the_numbers_behind_the_figures_are_kept_as_text_and_json(files: dict[str, Path]) -> None:
    data = json.loads(files["study.json"].read_text("utf-8"))
    text = files["results.txt"].read_text("utf-8")
    first = data["importance"]["shares"][0]
    assert f"{first['label']}" in text and f"{first['mean']:.3f}" in text
    rung = data["rungs"][0]
    assert f"{rung['overtaken']} of {rung['pairs']} pairs" in text
    assert f"{100 * data['savings']['share']:.1f} % saved" in text
    assert f"slots: {data['slots']['count']}; " in text


def test_the_page_says_what_the_numbers_come_to(
    whole: TuneDocument, files: dict[str, Path]
) -> None:
    page = files["index.html"].read_text("utf-8")
    assert f"cifar-dist train best.yaml --store {whole.store}" in page
    assert "of the training time" in page
    assert "Which process ran a trial is not kept" in page
    assert 'class="warning"' not in page, "it was confirmed"


def test_a_lead_inside_the_noise_is_a_warning_in_the_page() -> None:
    close = sweep_document(trials=[trial(0, "finished", 4), trial(1, "finished", 3)])
    assert '<p class="warning">Warning: the first and the second cannot be told apart' in (
        sweep_page(close)
    )


@pytest.mark.usefixtures("no_pixels")
def test_a_sweep_from_before_slots_and_seeds_were_kept_is_still_shown() -> None:
    stored = recorded_sweep(15).model_dump(mode="json")
    for name in ("slots", "spans", "confirmed"):
        del stored[name]
    document = TuneDocument.model_validate(stored)
    assert set(sweep_pictures(document, study(document))) == {"parallel", "parameters", "rungs"}


@pytest.mark.usefixtures("no_pixels")
def test_settings_that_are_markup_render_as_text(tmp_path: Path) -> None:
    values = [HOSTILE, {"name": HOSTILE, HOSTILE: 1.5}, 0.1]
    trials = [
        trial(n, "finished", 4, parameters={f"recipe.{HOSTILE}": value, "recipe.lr": 0.1 * n})
        for n, value in enumerate(values)
    ]
    searched = {"space": {f"recipe.{HOSTILE}": {"choice": values}}}
    document = sweep_document(trials=trials, space=searched, sweep=HOSTILE, store=HOSTILE)
    page = write_sweep(document, tmp_path)["index.html"].read_text("utf-8")
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert" in page


def test_a_sweep_without_any_score_draws_nothing_and_still_has_its_page() -> None:
    document = sweep_document(trials=[trial(0, "failed", 0)], best=None, best_job=None)
    known = study(document)
    assert sweep_pictures(document, known) == {}
    assert "No trial won" in sweep_page(document, {}, known)


@pytest.mark.usefixtures("no_pixels")
def test_a_thousand_trials_still_fit_in_a_page() -> None:
    document = recorded_sweep(1000, 3)
    known = study(document)
    page = sweep_page(document, sweep_pictures(document, known), known)
    assert len(page.encode()) < 10_000_000
    assert page.count('<th scope="row">') > 1000
