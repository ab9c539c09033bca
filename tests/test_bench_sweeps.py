"""The benchmarks of sweeps: what counts as found, what is frozen, and in which order is tried."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cifar_dist.config import patched
from cifar_dist.search import Space
from tests.bench import sweep_rows, sweep_table
from tests.bench.rounds import Absent, Setting
from tests.bench.sweep_rows import _Search, stock
from tests.bench.sweep_space import (
    Configuration,
    Ended,
    configurations,
    fingerprint,
    frozen_space,
    good,
    key,
    read_table,
    seconds_to_good,
    table,
)
from tests.tiny import make_job


@pytest.fixture(scope="module")
def space() -> Space:
    return frozen_space(Setting(data="synthetic"))


@pytest.fixture(scope="module")
def order(space: Space) -> list[Configuration]:
    return configurations(space, 0)


def scores(order: list[Configuration], best: float) -> list[tuple[Configuration, list[float]]]:
    """Make up accuracies that fall by a quarter of a point from one to the next."""
    return [(each, [best - 0.0025 * place]) for place, each in enumerate(order)]


def test_every_order_tries_each_of_the_27_once_and_the_base_job_first(space: Space) -> None:
    first, second = configurations(space, 0), configurations(space, 1)
    assert len({key(each) for each in first}) == len(first) == 27
    assert {key(each) for each in first} == {key(each) for each in second}
    assert first[0] == second[0]
    assert first != second


def test_every_configuration_is_a_valid_job_and_one_of_the_seed_loops_recipes(
    space: Space, order: list[Configuration]
) -> None:
    recipes = stock(space, order, "fifo")["recipes"]
    for configuration, recipe in zip(order, recipes, strict=True):
        job = patched(space.job, configuration)
        optimizer = job.recipe.optimizer
        assert (recipe["optimizer"], recipe["lr"]) == (optimizer.name, optimizer.options["lr"])
        assert recipe["model"]["name"] == job.recipe.model.name


def test_good_is_what_lies_within_half_a_point_of_the_best_mean(
    order: list[Configuration],
) -> None:
    assert good(scores(order, 0.6)) == {key(each) for each in order[:3]}


def test_means_decide_what_is_good_when_there_are_more_seeds(order: list[Configuration]) -> None:
    lucky_once = [(order[0], [0.70, 0.50]), (order[1], [0.62, 0.62])]
    assert good(lucky_once) == {key(order[1])}


def test_a_good_configuration_is_found_when_it_was_trained_to_its_end(
    order: list[Configuration],
) -> None:
    ended = [Ended(order[5], 9, 10.0), Ended(order[1], 3, 20.0), Ended(order[2], 9, 30.0)]
    assert seconds_to_good(ended, good(scores(order, 0.6)), 9) == 30.0
    assert seconds_to_good(ended[:2], good(scores(order, 0.6)), 9) is None


def test_a_table_is_read_as_it_was_written(
    space: Space, order: list[Configuration], tmp_path: Path
) -> None:
    file = tmp_path / "table.json"
    file.write_text(json.dumps(table(space, scores(order, 0.6))))
    assert good(read_table(space, file)) == {key(each) for each in order[:3]}


def test_a_table_that_is_not_there_not_whole_or_of_something_else_is_not_used(
    space: Space, order: list[Configuration], tmp_path: Path
) -> None:
    file = tmp_path / "table.json"
    with pytest.raises(Absent, match="sweep_table"):
        read_table(space, file)
    file.write_text(json.dumps(table(space, scores(order[1:], 0.6))))
    with pytest.raises(Absent, match="not complete"):
        read_table(space, file)
    file.write_text(json.dumps(table(space, scores(order, 0.6))))
    for path, other in (("recipe.data", "sample"), ("recipe.epochs", 3)):
        with pytest.raises(Absent, match="another space"):
            read_table(space.changed({path: other}, None), file)


def test_the_frozen_table_if_it_is_there_is_of_the_frozen_space() -> None:
    try:
        found = read_table(frozen_space(Setting()))
    except Absent as reason:
        assert "sweep_table" in str(reason)
    else:
        assert 1 <= len(good(found)) <= 9, "too many good ones would be found by chance"


def test_writing_the_table_goes_on_where_it_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: Space
) -> None:
    trained: list[Any] = []

    def accuracy(job: Any) -> float:
        if len(trained) == 30:
            raise KeyboardInterrupt
        trained.append((job.recipe.model, job.recipe.optimizer, job.recipe.seed))
        return 0.5

    monkeypatch.setattr(sweep_table, "accuracy", accuracy)
    file, setting = tmp_path / "table.json", Setting(data="synthetic")
    with pytest.raises(KeyboardInterrupt):
        sweep_table.write(setting, 2, file)
    monkeypatch.setattr(sweep_table, "accuracy", lambda job: 0.5)
    sweep_table.write(setting, 2, file)
    rows = read_table(space, file)
    assert len({str(each) for each in trained}) == 30, "nothing twice"
    assert {len(found) for _, found in rows} == {2}
    assert json.loads(file.read_text())["space_sha256"] == fingerprint(space)


def test_a_configurations_score_is_that_of_its_best_epoch_and_0_if_it_diverged() -> None:
    assert 0.0 < sweep_table.accuracy(make_job(recipe__epochs=1)) < 1.0
    wild = {"name": "sgd", "lr": 9_000.0}
    assert sweep_table.accuracy(make_job(recipe__epochs=1, recipe__optimizer=wild)) == 0.0


class _Played:
    """A child that tells how trials ended, the nth after 10 n CPU seconds."""

    begun: ClassVar[list[tuple[str, Any]]] = []

    def __init__(self, entry: str, given: Any) -> None:
        self.begun.append((entry, given))
        self.tree, self._spent = self, 0.0

    def seconds(self) -> float:
        return self._spent

    def lines(self) -> Iterator[dict[str, Any]]:
        for trial, epochs in ((0, 9), (2, 3), (1, 9), (2, 9)):
            self._spent += 10.0
            yield {"trial": trial, "epochs": epochs}
        self._spent += 5.0
        yield {"rows": []}

    def check(self) -> None:
        pass

    end = seconds


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    monkeypatch.setattr(sweep_rows, "Child", _Played)
    monkeypatch.setattr(_Played, "begun", [])
    return _Played.begun


def test_a_search_costs_what_it_spent_until_a_good_one_was_trained_or_all_of_it(
    order: list[Configuration], played: list[tuple[str, Any]]
) -> None:
    setting = Setting(data="synthetic")
    assert _Search(setting, {key(order[2])}, None)() == 40.0
    assert not setting.notes
    assert _Search(setting, {key(order[5])}, "asha")() == 45.0
    assert "stock asha trained no good one" in setting.notes[0]


def test_both_sides_search_in_one_order_and_each_round_in_another(
    space: Space, order: list[Configuration], played: list[tuple[str, Any]]
) -> None:
    ours, stock_side = (
        _Search(Setting(data="synthetic"), {key(order[0])}, scheduler)
        for scheduler in (None, "fifo")
    )
    assert [ours(), stock_side(), stock_side(), ours()] == [10.0] * 4
    seeds = [given["space"]["job"]["recipe"]["seed"] for _, given in (played[0], played[3])]
    assert seeds == [0, 1] == [given["seed"] for _, given in played[1:3]]
    for seed, (_, given) in enumerate(played[1:3]):
        assert given["recipes"] == stock(space, configurations(space, seed), "fifo")["recipes"]
        assert given["recipes"] != played[2 - seed][1]["recipes"]
