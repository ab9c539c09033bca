"""The benchmarks run: every row in miniature, what it keeps, and how a ratio comes about."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cifar_dist.documents import EpochRecord
from cifar_dist.learner import Learner
from cifar_dist.loop import epochs
from cifar_dist.precision import Arithmetic
from tests.bench import __main__ as bench
from tests.bench import load, ours, printed
from tests.bench.overhead import bare_epochs
from tests.bench.rounds import Absent, Row, Setting, Side, Spread, measure, meets, rate

SMOKE = Setting(data="synthetic", seconds=0.0, smoke=True)
WITHOUT_RAY = bench.rows_of(bench.MODULES)
# A training on a GPU is the CPU's row on another device.
RUN = [row for row in WITHOUT_RAY if row.name != "gpu_training_resnet18_cam"]
FIELDS = {
    "name", "what", "unit", "goal", "absolute_goal", "higher_is_better", "smoke", "rounds", "ratio",
    "ours", "reference", "is_met", "unmeasured", "notes", "foreign", "is_valid", "load_before",
    "load_after", "seconds",
}  # fmt: skip


def a_row(ours: Side, reference: Side, **fields: Any) -> Row:
    given = {"name": "a", "what": "a ÷ b", "unit": "images/s", "goal": ">= 2"} | fields
    return Row(sides=lambda _: (ours, reference), **given)


def counting(log: list[str], name: str, values: Iterator[float]) -> Side:
    def side() -> float:
        log.append(name)
        return next(values)

    return side


@pytest.mark.parametrize("row", RUN, ids=lambda row: row.name)
def test_every_row_runs(row: Row) -> None:
    result = measure(row, 1, SMOKE)
    assert not result.unmeasured
    assert result.ratio is not None and result.ratio.median > 0
    record = json.loads(json.dumps(result.to_json()))
    assert set(record) == FIELDS
    assert set(record["rounds"][0]) == {"ours", "reference", "foreign", "ratio"}


def test_sides_take_turns_at_going_first_after_one_round_to_warm_up() -> None:
    log: list[str] = []
    values = [iter([9.0, 6.0, 8.0, 4.0]), iter([9.0, 2.0, 2.0, 2.0])]
    row = a_row(counting(log, "A", values[0]), counting(log, "B", values[1]))
    result = measure(row, 3, Setting())
    assert "".join(log) == "AB" + "AB" + "BA" + "AB"
    assert [each.ratio for each in result.rounds] == [3.0, 4.0, 2.0]
    assert result.ratio is not None
    assert (result.ratio.median, result.ratio.best) == (3.0, 4.0)
    assert (result.ratio.p10, result.ratio.p90) == pytest.approx((2.2, 3.8))
    assert result.is_met


def test_where_less_is_better_the_best_is_the_least() -> None:
    assert Spread.of([3.0, 1.0, 2.0], higher_is_better=False).best == 1.0
    assert meets(1.02, "<= 1.03") and not meets(1.04, "<= 1.03")
    assert meets(8.0, ">= 8") and not meets(7.9, ">= 8")


def test_a_row_must_meet_both_of_its_goals() -> None:
    row = a_row(lambda: 10.0, lambda: 1.0, absolute_goal=">= 50")
    assert measure(row, 1, SMOKE).is_met is False


def test_an_absent_side_is_a_sentence_and_the_other_is_measured() -> None:
    def absent() -> float:
        raise Absent("it is not installed.")

    result = measure(a_row(lambda: 5.0, absent), 2, SMOKE)
    assert (result.unmeasured, result.ratio, result.is_met) == ("it is not installed.", None, None)
    assert result.ours is not None and result.ours.median == 5.0
    assert "unmeasured: it is not installed." in printed.row(result)


def test_a_measurement_beside_others_is_kept_and_called_invalid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load.Load, "foreign", lambda _: 0.26)
    result = measure(a_row(lambda: 5.0, lambda: 1.0), 1, SMOKE)
    assert not result.is_valid and result.to_json()["is_valid"] is False
    assert "INVALID" in printed.row(result)


def test_work_of_this_process_is_not_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([(100.0, 1000.0), (107.0, 1020.0)])
    own = iter([50.0, 54.0])
    monkeypatch.setattr(load, "_busy_and_whole", lambda: next(clock))
    monkeypatch.setattr(load, "tree_seconds", lambda: next(own))
    assert load.Load().foreign() == pytest.approx(3 / 20)


def test_the_file_says_where_and_with_what_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "rows", lambda: [a_row(lambda: 4.0, lambda: 2.0)])
    threads = torch.get_num_threads()
    assert bench.main(["--json", str(tmp_path / "kept" / "f.json"), "--rounds", "2"]) == 0
    torch.set_num_threads(threads)
    kept = json.loads((tmp_path / "kept" / "f.json").read_text("utf-8"))
    assert kept["schema"] == "cifar-dist/bench/1"
    assert {"machine", "versions", "data", "seed", "started"} < set(kept)
    assert kept["rows"][0]["ratio"]["median"] == 2.0
    assert "ratio 2 (best 2, 10-90 % 2 to 2) in 2 rounds; goal >= 2: met" in capsys.readouterr().out


def test_long_rows_run_only_when_asked_for_by_name() -> None:
    rows = [a_row(lambda: 1.0, lambda: 1.0, name=name, is_long=name == "b") for name in "ab"]
    assert [row.name for row in bench.chosen(rows, [])] == ["a"]
    assert [row.name for row in bench.chosen(rows, ["?"])] == ["a", "b"]
    with pytest.raises(SystemExit, match="no row is called c"):
        bench.chosen(rows, ["c"])


def test_the_bare_loop_learns_what_the_trainer_learns() -> None:
    model = {"name": "speednet", "widths": [8, 8, 8]}
    recipe = ours.recipe(SMOKE, model, batch_size=32, precision="fp32")
    images, how = ours.training_images(SMOKE), Arithmetic("fp32", ours.CPU)
    trained = Learner(recipe, images, how)
    next(event for event in epochs(trained, None) if isinstance(event, EpochRecord))
    bare = next(bare_epochs(recipe, images, how)).state_dict()
    for name, value in trained.model.state_dict().items():
        torch.testing.assert_close(bare[name], value, rtol=1e-3, atol=1e-4)


def test_a_rate_is_of_whole_pieces_of_work() -> None:
    assert rate(lambda: 128, 0.0) > 0


def test_without_a_gpu_its_rows_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(Absent, match="no GPU"):
        ours.cuda(Setting())
