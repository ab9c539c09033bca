"""Samplers: pure, never twice the same, replayed from any cut; TPE learns what random does not."""

import os
import random
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.config import patched
from cifar_dist.search import Observation, Space, shipped_spaces, space_path
from tests.recorded_sweep import SPACE, recorded

NAME, LR = "recipe.optimizer.name", "recipe.optimizer.lr"
MOMENTUM = "recipe.optimizer.momentum"
NESTED = {
    "choice": [
        {"name": "sgd", "lr": {"loguniform": [0.01, 1.0]}, "momentum": {"choice": [0.8, 0.9]}},
        {"name": "adamw", "lr": {"loguniform": [0.0001, 0.01]}},
    ]
}


def parsed(space: dict[str, Any], **fields: Any) -> Space:
    job = {"recipe": {"model": {"name": "lenet5"}, "optimizer": {"name": "sgd"}}}
    return Space.parse({"description": "d", "job": job, "trials": 40, "space": space, **fields})


def draws(space: Space, seed: int = 0) -> list[dict[str, Any]]:
    return [space.proposal(trial, seed) for trial in range(1, space.count)]


def seen_of(trial: int, overrides: dict[str, Any], state: Any = None) -> Observation:
    """Say what is known of a trial of the recorded sweep once it ended, and how it ended."""
    values = recorded(overrides) if overrides else {1: 0.1}
    kinds = ("finished", "pruned", "running", "failed", "finished")
    state = state or ("finished" if not overrides else kinds[trial % 5])
    known = {1: values[1]} if state in {"pruned", "running"} else values
    return Observation(trial, overrides, state, known)


def swept(
    space: Space, seed: int, seen: Sequence[Observation] = (), state: Any = None
) -> list[Observation]:
    """Go on with a sweep from what was seen to its end."""
    seen = list(seen)
    for trial in range(len(seen), space.count):
        seen.append(seen_of(trial, space.proposal(trial, seed, seen), state))
    return seen


def tpe(**fields: Any) -> Space:
    return parsed(SPACE, sampler="tpe", **fields)


def test_the_same_trials_seen_give_the_same_next_one() -> None:
    seen = swept(tpe(), seed=1)
    again = tpe()  # nothing is remembered from the sweep
    assert again.proposal(40, 1, seen) == again.proposal(40, 1, seen)
    assert again.proposal(40, 1, seen) != again.proposal(40, 2, seen)
    assert again.proposal(40, 1, seen) != again.proposal(40, 1, seen[:-1])


@pytest.mark.parametrize("cut", [0, 1, 7, 12, 20, 24])
def test_a_sweep_cut_anywhere_goes_on_as_if_it_was_not(cut: int) -> None:
    whole = swept(tpe(trials=25), seed=3)
    assert swept(tpe(trials=25), 3, whole[:cut]) == whole


def test_another_process_proposes_the_same() -> None:
    code = "from tests.test_search_samplers import *; print(swept(tpe(trials=14), 3)[13].overrides)"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONHASHSEED": "1"},  # sets are walked in another order
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.strip() == str(swept(tpe(trials=14), 3)[13].overrides)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_no_configuration_comes_twice_while_others_are_left(sampler: str) -> None:
    space = {
        NAME: {"choice": ["sgd", "adamw"]},
        MOMENTUM: {"choice": [0.8, 0.85, 0.9, 0.95], "when": {NAME: "sgd"}},
        "recipe.label_smoothing": {"uniform": [0.0, 0.2], "step": 0.05},
    }
    sweep = parsed(space, sampler=sampler, trials=1 + (4 + 1) * 5)
    seen: list[Observation] = []
    for trial in range(sweep.count):
        overrides = sweep.proposal(trial, 5, seen)
        seen.append(Observation(trial, overrides, "finished", {1: len(overrides) / 4}))
    assert len({str(o.overrides) for o in seen}) == sweep.count
    assert sweep.proposal(sweep.count, 5, seen)  # none is left, and one comes again


def test_a_rare_configuration_is_found_at_last() -> None:
    deep: Any = [0.2, 0.3]
    for level in range(12):
        deep = [level / 100, {"choice": deep}]
    space = parsed({"recipe.label_smoothing": {"choice": deep}}, trials=16)
    assert len({str(found) for found in draws(space)}) == space.tree.size == 14


def test_random_and_grid_do_not_look_at_what_was_seen() -> None:
    seen = swept(tpe(), seed=1)
    space = parsed(SPACE)
    assert space.proposal(7, 1, seen) == space.proposal(7, 1)
    grid = parsed({"recipe.epochs": {"integer": [1, 5]}}, sampler="grid", trials=None)
    assert grid.proposal(3, 1, seen) == grid.proposal(3, 2) == {"recipe.epochs": 3}


@pytest.mark.parametrize(("trials", "startup", "known"), [(40, None, 10), (15, None, 5), (9, 2, 2)])
def test_tpe_draws_at_random_until_enough_trials_ended(
    trials: int, startup: int | None, known: int
) -> None:
    space, drawn = tpe(trials=trials, startup_trials=startup), parsed(SPACE)
    seen = swept(space, seed=0, state="finished")
    assert [o.overrides for o in seen[: known + 1]] == space.preview(100, seed=0)
    running = [Observation(o.trial, o.overrides, "running") for o in seen]
    for trial in range(1, trials):
        random_one = drawn.proposal(trial, 0)
        assert (seen[trial].overrides == random_one) is (trial <= known)
        assert space.proposal(trial, 0, running[:trial]) == random_one


def test_a_preview_is_what_the_sweep_begins_with() -> None:
    random_one = parsed(SPACE, trials=4)
    assert random_one.preview(9, seed=2) == [random_one.proposal(n, 2) for n in range(4)]
    assert random_one.preview(2, seed=2) == [random_one.proposal(n, 2) for n in range(2)]


def test_failed_trials_are_avoided_more_than_bad_ones() -> None:
    space = parsed({LR: {"loguniform": [0.001, 1.0]}}, sampler="tpe", trials=60)
    seen = [Observation(0, {}, "finished", {1: 0.1})]
    for trial in range(1, 40):
        overrides = space.proposal(trial, 0, seen)
        failed = overrides[LR] > 0.03
        values = {1: 0.9} if failed else {1: 0.1}  # promising until it broke
        seen.append(Observation(trial, overrides, "failed" if failed else "pruned", values))
    tried = [o.overrides[LR] for o in seen[11:]]
    assert sum(lr > 0.03 for lr in tried) < len(tried) / 4


def test_the_score_counts_more_than_the_last_epoch() -> None:
    space = parsed({LR: {"loguniform": [0.001, 1.0]}}, sampler="tpe", trials=60)
    points = [(trial, space.proposal(trial, 0)) for trial in range(1, 30)]
    told = [Observation(n, o, "finished", {1: o[LR]}) for n, o in points]
    scored = [Observation(n, o, "finished", {1: 0.5}, score=o[LR]) for n, o in points]
    assert space.proposal(30, 0, told) == space.proposal(30, 0, scored)


def test_what_another_space_tried_is_no_hindrance() -> None:
    foreign = [
        Observation(n, {"recipe.epochs": n, LR: 7.0}, "finished", {1: 0.5}) for n in range(30)
    ]
    patched(tpe().job, tpe().proposal(30, 0, foreign))


@pytest.mark.parametrize("name", shipped_spaces())
def test_every_shipped_space_can_be_learned_from(name: str) -> None:
    space = Space.load(space_path(name))
    data = {**space.model_dump(mode="json"), "sampler": "tpe", "trials": 20, "startup_trials": 5}
    learning = Space.parse(data)
    seen: list[Observation] = []
    for trial in range(9):
        overrides = learning.proposal(trial, 0, seen)
        patched(learning.job, overrides)
        seen.append(Observation(trial, overrides, "finished", {1: trial / 10}))
        assert trial == 0 or learning.tree.overrides(learning.tree.picks(overrides)) == overrides


def test_tpe_beats_random_on_a_recorded_sweep() -> None:
    best: dict[str, list[float]] = {"random": [], "tpe": []}
    for sampler, found in best.items():
        space = parsed(SPACE, sampler=sampler, trials=31)
        for seed in range(20):
            ended = swept(space, seed, state="finished")
            found.append(max(o.values[3] for o in ended[1:]))
    assert statistics.median(best["tpe"]) > statistics.median(best["random"])


def random_space(seed: int) -> dict[str, Any]:
    """Write some space: fields alone, conditions on names, components with parameters inside."""
    rng = random.Random(seed)
    smoothing = rng.choice([{"uniform": [0.0, 0.3]}, {"uniform": [0.0, 0.3], "step": 0.05}])
    fields: dict[str, Any] = {
        "recipe.label_smoothing": smoothing,
        "recipe.batch_size": {"integer": [50, 200], "step": rng.choice([1, 10, 50])},
        "recipe.epochs": {"choice": rng.sample(range(4, 20), 3)},
        "recipe.warmup_epochs": {"uniform": [0.0, 3.0]},
        "recipe.schedule.name": {"choice": ["linear", "cosine"]},
        "recipe.schedule.final": {"uniform": [0.0, 0.1]},
    }
    if rng.random() < 0.5:
        fields[NAME] = {"choice": ["sgd", "adamw"]}
        fields[MOMENTUM] = {"choice": [0.8, 0.9], "when": {NAME: "sgd"}}
    else:
        fields["recipe.optimizer"] = NESTED
    kept = rng.sample(sorted(fields), rng.randint(2, len(fields)))
    if MOMENTUM in kept and NAME not in kept:
        kept.append(NAME)
    return {path: fields[path] for path in kept}


def test_a_draw_is_traced_to_the_option_that_gave_it() -> None:
    low, high = {"uniform": [0.1, 0.2]}, {"uniform": [0.15, 0.9]}
    options = [{"name": "sgd", "lr": low}, {"name": "sgd", "lr": high}, {"name": "adam"}]
    tree = parsed({"recipe.optimizer": {"choice": options}}).tree
    for lr, option in ((0.11, 0), (0.5, 1)):
        overrides = {"recipe.optimizer": {"name": "sgd", "lr": lr}}
        assert tree.picks(overrides)["recipe.optimizer"] == option
        assert tree.overrides(tree.picks(overrides)) == overrides
    assert tree.picks({"recipe.optimizer": {"name": "sgd", "lr": 2.0}}) == {}


@pytest.mark.parametrize("seed", range(20))
def test_every_draw_of_any_space_is_a_valid_job_without_inactive_keys(seed: int) -> None:
    space = parsed(random_space(seed), trials=8)
    for point in draws(space, seed):
        patched(space.job, point)
        assert (point.get(NAME) == "adamw") <= (MOMENTUM not in point)
        assert space.tree.overrides(space.tree.picks(point)) == point


@pytest.mark.parametrize("seed", range(20))
def test_one_parameter_more_moves_no_draw_of_the_others(seed: int) -> None:
    fields = {**random_space(seed), LR: {"loguniform": [0.001, 0.1]}}
    fields.pop("recipe.optimizer", None)
    fewer = {path: fields[path] for path in fields if path != "recipe.label_smoothing"}
    for more, less in zip(draws(parsed(fields)), draws(parsed(fewer)), strict=True):
        assert {path: more[path] for path in less} == less
