"""Rungs follow from a space, a trial's number and the seed alone."""

from collections import Counter

import pytest

from cifar_dist.search import Asha, Rungs, Space, rungs_of, trainings
from tests.tiny import make_job


def test_rungs_lie_a_factor_apart_below_the_longest_trial() -> None:
    job = make_job(recipe__epochs=9).model_dump(mode="json")
    space = {"recipe.epochs": {"choice": [9, 28]}}
    found = rungs_of(Space.parse({"description": "d", "job": job, "trials": 2, "space": space}))
    assert (found.epochs, found.all) == (28, (1, 3, 9, 27))
    assert Rungs(None, 9).all == ()
    assert Rungs(Asha(grace_epochs=9), 9).all == ()


def test_a_trial_is_trained_to_each_rung_that_is_shorter_and_to_its_end() -> None:
    rungs = Rungs(Asha(rungs="restart"), 9)
    assert trainings(rungs.restarts(0), 9) == (1, 3, 9)
    assert trainings(rungs.restarts(0), 3) == (1, 3), "its own end is no training apart"
    assert Rungs(Asha(), 9).restarts(0) == ()


@pytest.mark.parametrize("seed", [0, 1])
def test_brackets_take_shares_of_about_equal_epochs_and_the_base_job_skips_no_rung(
    seed: int,
) -> None:
    rungs = Rungs(Asha(brackets=3), 27, seed)
    counts = Counter(map(rungs.bracket, range(1, 1301)))
    assert [round(counts[bracket] / 100) for bracket in range(3)] == [9, 3, 1]
    assert rungs.of(0) == (1, 3, 9)
    assert Rungs(Asha(brackets=3), 27, seed).bracket(7) == rungs.bracket(7)
