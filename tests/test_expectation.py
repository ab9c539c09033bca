"""What ASHA is expected to let go on: exact where it can be worked out, and plain without it."""

from typing import Any

import pytest

from cifar_dist.search import Space
from cifar_dist.search.expectation import expected
from tests.simulated_sweeps import Simulated, a_space
from tests.tiny import make_job


def a_plain_space(trials: int, asha: dict[str, Any] | None, **searched: Any) -> Space:
    space = {"recipe.optimizer.lr": {"uniform": [0.01, 0.1]}, **searched}
    asked = {"job": make_job(recipe__epochs=9).model_dump(mode="json"), "space": space}
    return Space.parse({"description": "d", "trials": trials, "asha": asha, **asked})


@pytest.mark.parametrize(("trials", "factor"), [(9, 3), (27, 3), (40, 2)])
def test_the_first_rung_lets_as_many_go_on_as_can_be_worked_out(trials: int, factor: int) -> None:
    found = expected(a_plain_space(trials, {"grace_epochs": 1, "reduction_factor": factor}))
    first, second = found.stages[:2]
    assert (first.until_epoch, first.trials.mean, first.epochs.mean) == (1, trials, trials)
    # A value falls into each gap between the k before it alike; the bound lies at (k - 1)(1 - 1/f).
    exact = 1 + sum((k / factor + 1 - 1 / factor) / (k + 1) for k in range(1, trials))
    assert second.trials.mean == pytest.approx(exact, rel=0.08)
    assert second.trials.low < exact < second.trials.high


def test_without_asha_every_trial_trains_all_its_epochs() -> None:
    found = expected(a_plain_space(7, None))
    assert [(stage.until_epoch, stage.trials.mean) for stage in found.stages] == [(9, 7)]
    assert (found.epochs.mean, found.epochs.low, found.epochs.high) == (63, 63, 63)
    assert found.most_epochs == 63


def test_trials_of_fewer_epochs_end_before_the_rungs_that_they_never_reach() -> None:
    found = expected(a_plain_space(8, None, **{"recipe.epochs": {"choice": [2, 4]}}))
    ends = {stage.until_epoch: stage.trials.mean for stage in found.stages}
    assert (ends.keys(), ends[9], sum(ends.values())) == ({2, 4, 9}, 1, 8)


def test_restarted_rungs_cost_a_whole_training_each() -> None:
    asha = {"grace_epochs": 1, "reduction_factor": 3, "rungs": "restart"}
    found = expected(a_plain_space(12, asha))
    whole = [stage.epochs.mean / stage.trials.mean for stage in found.stages]
    assert whole == pytest.approx([1, 3, 9])
    assert found.most_epochs == 12 * (1 + 3 + 9)


def test_brackets_share_the_trials_out() -> None:
    asha = {"grace_epochs": 1, "reduction_factor": 3, "brackets": 2}
    found = expected(a_plain_space(30, asha))
    assert found.stages[0].trials.mean < 30
    assert found.most_epochs == 30 * 9


def test_a_sweep_played_by_the_real_scheduler_lies_in_the_interval() -> None:
    sweep = Simulated(27, [], limit=3)
    rows = [row for row in sweep.run() if row.trial % 7 != 5]  # which fail in it
    found = expected(a_space(len(rows)))
    assert found.epochs.low <= sum(row.epochs for row in rows) <= found.epochs.high
