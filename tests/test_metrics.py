"""The driver's metrics: every family of the list, bounded, right, and gone when its run is over."""

import json
import tracemalloc
from typing import Any

import pytest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse

from cifar_dist import __version__
from cifar_dist.counts import BOUNDS_SECONDS, COUNTS
from cifar_dist.metrics import FAMILIES, Board, Meters, Prices
from cifar_dist.metrics.families import PREFIX
from cifar_dist.spending import Allowance
from cifar_dist.standing import Standing
from tests.replays import RUNGS, ledger, lived
from tests.scrapes import scraped, series
from tests.tiny import a_record

RUN_ONLY = {
    "epoch", "train_loss", "validation_loss", "validation_accuracy_ratio", "learning_rate",
}  # fmt: skip
SWEEP_ONLY = {
    "trials", "trials_planned", "slots", "rung_trials", "best_accuracy_ratio", "budget_used_ratio",
    "sweep_cost", "sweep_gpu_seconds",
}  # fmt: skip


def swept(board: Board, trials: int) -> Meters:
    standing = Standing(trials, RUNGS)
    standing.live(0.0)
    standing.allow(Allowance(seconds=1_000_000))
    lived(standing, (event for event in ledger(trials) if event["event"] != "close"))
    meters = board.open("tiny-00000000", Prices(cpu_hour=0.05, gpu_hour=2.0))
    meters.follow(standing)
    return meters


def trained(board: Board) -> Meters:
    meters = board.open("tiny-11111111", Prices(cpu_hour=0.05))
    meters.expect(epochs=4, batch_size=100)
    meters.observe(1, 40, [])
    meters.observe(10, 40, [a_record(1, 0.5).model_copy(update={"validation_accuracy": 0.75})])
    return meters


def names(board: Board) -> set[str]:
    return {name.removeprefix(PREFIX) for name in scraped(board)}


def test_a_run_and_a_sweep_together_have_every_metric_of_the_list() -> None:
    board = Board()
    with_run = trained(board)
    assert names(board) == FAMILIES.keys() - SWEEP_ONLY
    with_run.close()
    swept(board, 30)
    assert names(board) == FAMILIES.keys() - RUN_ONLY
    trained(board)
    assert names(board) == set(FAMILIES)


def test_both_formats_say_the_same_and_each_counter_is_one() -> None:
    board = Board()
    swept(board, 30)
    trained(board)
    text = {family.name: family.type for family in parse("\n".join(scraped(board).values()))}
    families = list(parse_open(openmetrics(board.registry).decode()))
    assert {family.name: family.type for family in families} == text
    for name, family in FAMILIES.items():
        kind = text[PREFIX + name.removesuffix("_total")]
        assert kind == family.kind, name
        assert name.endswith("_total") == (kind == "counter"), name
        assert family.help.endswith("."), name


def test_a_closed_run_leaves_no_series_and_takes_no_other_with_it() -> None:
    board = Board()
    first, second = swept(board, 6), trained(board)
    first.close()
    assert {labels["run"] for _, labels in series(board) if "run" in labels} == {"tiny-11111111"}
    again = board.open("tiny-11111111")
    second.close()
    assert any(labels.get("run") == again.run for _, labels in series(board))
    again.close()
    assert names(board) == {"build_info"}


def test_ten_thousand_trials_have_as_many_series_and_as_much_memory_as_a_few() -> None:
    small, large = Board(), Board()
    swept(small, 150)
    swept(large, 10_000)
    assert len(series(small)) == len(series(large)) < 100
    tracemalloc.start()
    try:
        scraped(large)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            scraped(large)
        assert tracemalloc.get_traced_memory()[0] - before < 50_000
    finally:
        tracemalloc.stop()


LABELS = {
    "run": {"tiny-00000000", "tiny-11111111"},
    "state": {"waiting", "running", "finished", "pruned", "failed", "busy", "idle", "starting"},
    "epoch": {str(rung) for rung in RUNGS},
    "le": {*map(str, BOUNDS_SECONDS), "+Inf"},
    "version": {__version__},
}


def test_labels_are_of_short_lists_and_hold_no_text_of_a_users() -> None:
    board = Board()
    swept(board, 30)
    trained(board)
    for name, labels in series(board):
        family = FAMILIES.get(name.removeprefix(PREFIX), FAMILIES["slots"])
        assert set(labels) <= {"run", "le", *family.labels}, name
        assert all(value in LABELS[label] for label, value in labels.items()), name


def test_a_run_that_goes_on_counts_from_nothing_and_never_less() -> None:
    meters = Board().open("tiny-11111111")
    meters.expect(epochs=4, batch_size=100)
    found: list[tuple[float, float]] = []

    def read() -> None:
        now: Any = meters.read()
        found.append((now["epochs_total"][0][1], now["images_total"][0][1]))

    epochs = [a_record(epoch) for epoch in range(1, 4)]
    read()
    for step, ended in ((21, 2), (25, 2), (31, 3), (22, 2), (33, 3)):  # a worker was lost after 31
        meters.observe(step, 40, epochs[:ended])
        read()
    assert found[:3] == [(0, 0), (0, 100), (0, 500)]
    assert [epochs for epochs, _ in found] == [0, 0, 0, 1, 1, 1]
    assert found == sorted(found)


def test_money_is_hours_times_prices_and_absent_without_any() -> None:
    board = Board()
    meters = swept(board, 12)
    found = {name: values[0][1] for name, values in meters.read().items()}
    cpus, gpus = found["cpu_seconds_total"], found["gpu_seconds_total"]
    assert isinstance(cpus, float)
    assert isinstance(gpus, float)
    assert found["cost_total"] == pytest.approx((0.05 * cpus + 2.0 * gpus) / 3600)
    free = board.open("free-00000000")
    free.expect(1, 100)
    assert "cost_total" not in free.read()
    assert Prices(None, 2.0).cost(3600.0, 1800.0) == 1.0


def test_goodput_is_the_busy_share_of_all_worker_seconds() -> None:
    read = swept(Board(), 30).read()
    spent = {labels[0]: value for labels, value in read["worker_seconds_total"]}
    assert set(spent) == {"busy", "idle", "starting"}
    share = spent["busy"] / sum(spent.values())  # type: ignore[operator,arg-type]
    assert read["goodput_ratio"][0][1] == pytest.approx(share, abs=1e-3)
    assert 0.0 < share < 1.0


def test_storage_counts_from_where_the_run_began() -> None:
    COUNTS.commit(2.0, 1_000)
    board = Board()
    meters = trained(board)
    COUNTS.commit(0.3, 500)
    COUNTS.add("storage_retries", 3)
    COUNTS.add("commit_failures")
    found = {name: values[0][1] for name, values in meters.read().items()}
    assert found["checkpoint_bytes_total"] == 500
    assert (found["storage_retries_total"], found["checkpoint_failures_total"]) == (3, 1)
    text = scraped(board)["cifar_dist_checkpoint_seconds"]
    assert 'checkpoint_seconds_bucket{le="0.25",run="tiny-11111111"} 0.0' in text
    assert 'checkpoint_seconds_bucket{le="0.5",run="tiny-11111111"} 1.0' in text
    assert 'checkpoint_seconds_count{run="tiny-11111111"} 1.0' in text


def test_what_is_not_a_number_is_not_told() -> None:
    board = Board()
    meters = trained(board)
    record = a_record(2).model_copy(update={"train_loss": None, "validation_loss": None})
    meters.observe(20, 40, [a_record(1), record])
    assert not {"train_loss", "validation_loss"} & names(board)
    assert "nan" not in json.dumps(meters.read()).lower()
