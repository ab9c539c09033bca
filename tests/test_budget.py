"""A spent budget ends a sweep whole, and a larger one takes it up where it was left."""

from pathlib import Path
from typing import Any

import pytest

from cifar_dist.api.notebook import follower
from cifar_dist.api.sweep import Again, continue_sweep, run_sweep
from cifar_dist.cluster.tune import Trials
from cifar_dist.documents import TuneDocument
from cifar_dist.errors import ConfigError
from cifar_dist.report.verdict import sweep_verdict
from cifar_dist.runs import Ledger, Sweep
from cifar_dist.scoring import Scores
from cifar_dist.search import Space
from cifar_dist.spending import Allowance, Prices
from cifar_dist.store import open_store
from tests.result_documents import run_document, sweep_document, trial
from tests.simulated_sweeps import Simulated
from tests.tiny import make_job

TRIALS = 12
QUIET = follower(False)
LR = "recipe.optimizer.lr"
# Every event takes a second, and a trial holds two CPUs.
PARTS = {
    "seconds": Allowance(seconds=25),
    "cpu_hours": Allowance(cpu_hours=40 / 3600),
    "cost": Allowance(cost=20, prices=Prices(cpu_hour=1_800)),
}


def states(sweep: Simulated) -> list[tuple[str, int]]:
    ends = sweep.book.tally.ends
    return [(ends[number]["state"], ends[number]["epochs"]) for number in sorted(ends)]


def run_out(allowance: Allowance) -> Simulated:
    """Give a sweep that its budget ended as `stop_all` does."""
    sweep = Simulated(TRIALS, [])
    sweep.book.standing.allow(allowance)
    while sweep.book.ended_by is None and sweep.step():
        sweep.book.ended_by = sweep.book.standing.exhausted()
    sweep.book.close()
    return sweep


@pytest.mark.parametrize("part", PARTS)
def test_a_spent_budget_ends_a_sweep_and_a_larger_one_goes_on_to_the_same_end(part: str) -> None:
    cut = run_out(PARTS[part])
    ended = states(cut)
    assert 0 < len(ended) < TRIALS
    row = cut.book.tally.row(cut.book.asked - 1)
    assert (row.state, row.reason) == ("pruned", cut.book.ended_by)
    again = Simulated(TRIALS, cut.ledger.events[:])
    assert again.book.ended == len(ended) - 1, "the trial that only the budget ended is open"
    again.run()
    whole = Simulated(TRIALS, [])
    whole.run()
    assert states(again) == states(whole)


def test_a_budget_that_is_still_spent_ends_its_trials_again(tmp_path: Path) -> None:
    cut = run_out(PARTS["seconds"])
    again = Simulated(TRIALS, cut.ledger.events[:])
    again.book.standing.allow(PARTS["seconds"])
    again.book.ended_by = again.book.standing.exhausted()
    again.book.close()
    assert states(again) == states(cut)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Space]:
    """Run trials in no time, until a budget of seconds ends them; gives the spaces."""
    found: list[Space] = []
    known = run_document()
    rows = [trial(0, "finished", 1, parameters={}), trial(1, "pruned", 1, parameters={LR: 0.05})]

    def trials(space: Space, sweep: Sweep, *_: object) -> Trials:
        ledger = Ledger(sweep, sweep.claim_attempt())
        ledger.open(cpus=1.0, gpus=0.0)
        ledger.flush()
        found.append(space)
        seconds = space.budget.seconds
        ended_by = f"the sweep's budget of {seconds} s was spent" if seconds else None
        return Trials(rows, sweep_document().cost, ended_by=ended_by)

    monkeypatch.setattr("cifar_dist.cluster.tune.sweep_trials", trials)
    scores = Scores(known.validation_evaluation, known.test)
    monkeypatch.setattr("cifar_dist.sweep.score_winner", lambda *_: scores)
    monkeypatch.setattr("cifar_dist.outcome.report_sweep", lambda *_: None)
    return found


@pytest.fixture
def space(tmp_path: Path) -> Space:
    """Give a space of three trials that may take ten seconds."""
    job = make_job(store=str(tmp_path / "store"), recipe__epochs=1).model_dump(mode="json")
    searched = {LR: {"uniform": [0.01, 0.1]}}
    asked = {"description": "d", "job": job, "trials": 3, "space": searched}
    return Space.parse({**asked, "budget": {"seconds": 10}})


def searched(space: Space, budget: dict[str, Any], **again: Any) -> TuneDocument:
    return run_sweep(space.allowed(budget), {}, QUIET, Again(**again))


def test_a_sweep_that_its_budget_ended_goes_on_under_a_larger_one(
    space: Space, asked: list[Space]
) -> None:
    first = searched(space, {})
    assert first.ended_by == "the sweep's budget of 10 s was spent"
    assert searched(space, {"seconds": 20}) == first, "not without being told to"
    second = searched(space, {"seconds": 20}, resume=True)
    assert (second.sweep, second.ended_by) == (first.sweep, "the sweep's budget of 20 s was spent")
    assert searched(space, {"seconds": 20}, resume=True) == second
    last = searched(space, {"seconds": None}, resume=True)
    assert (last.ended_by, [each.budget.seconds for each in asked]) == (None, [10, 20, None])
    assert searched(space, {"seconds": 30}, resume=True) == last, "nothing was left to try"


def test_resume_raises_a_budget_by_the_sweeps_name_alone(space: Space, asked: list[Space]) -> None:
    first = searched(space, {})
    store = open_store(space.job.store)
    sweep = Sweep(store, f"sweeps/{first.sweep}")
    assert continue_sweep(sweep, QUIET, {}) == first
    assert continue_sweep(sweep, QUIET, {}, {"seconds": 40}).ended_by != first.ended_by
    assert (sweep.goal.budget or {})["seconds"] == 40
    assert [each.budget.seconds for each in asked] == [10, 40]


def test_money_without_a_price_is_refused_before_anything_is_made(
    space: Space, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="nothing has a price here"):
        searched(space, {"cost": 5})
    assert not (tmp_path / "store").exists()


def test_a_report_says_what_ended_its_sweep_and_how_to_go_on() -> None:
    ended = sweep_document(ended_by="the sweep's budget of 9 s was spent")
    (said,) = [line for line in sweep_verdict(ended) if "budget" in line]
    assert said.endswith("`cifar-dist resume quickstart-0a1b2c3d --max-hours N` goes on.")
