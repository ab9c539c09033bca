"""Where a sweep stands follows from its ledger; its sums agree with the tally and never fall."""

from dataclasses import fields

import pytest

from cifar_dist.standing import Reading, Standing
from cifar_dist.tally import Tally
from tests.replays import EPOCHS, RUNGS, SLOTS, ledger
from tests.simulated_sweeps import Simulated

pytestmark = pytest.mark.filterwarnings("default")
TRIALS = 60


def replayed(trials: int = TRIALS) -> Standing:
    standing = Standing(trials + 5, RUNGS)
    assert sum(1 for _ in standing.replayed(ledger(trials))) > trials
    return standing


def test_a_replayed_sweep_is_counted_as_it_was() -> None:
    now = replayed().reading()
    assert now.trials == {
        "waiting": 5,
        "running": 0,
        "finished": TRIALS // 3,
        "pruned": TRIALS - TRIALS // 3 - 1,
        "failed": 1,
    }
    assert now.rung_trials == {1: TRIALS, 3: TRIALS * 2 // 3}
    assert now.epochs == TRIALS // 3 * (1 + 3 + EPOCHS)
    assert now.images == 100 * now.epochs
    assert (now.planned, now.slots, now.attempts) == (TRIALS + 5, SLOTS, 1)
    assert now.best_accuracy == pytest.approx(0.5 + 59 / 250)


def test_what_was_reserved_is_what_the_tally_says() -> None:
    now, tally = replayed().reading(), Tally(ledger(TRIALS))
    assert now.cpu_seconds == pytest.approx(tally.cpu_seconds)
    assert now.gpu_seconds == pytest.approx(tally.gpu_seconds)


def test_the_seconds_of_the_slots_add_up_to_how_long_there_were_slots() -> None:
    now, tally = replayed().reading(), Tally(ledger(TRIALS))
    assert sum(now.worker_seconds.values()) == pytest.approx(SLOTS * tally.wall_seconds)
    assert now.worker_seconds["starting"] == pytest.approx(0.25 * TRIALS)


def growing(now: Reading) -> list[float]:
    return [
        now.epochs,
        now.images,
        now.cpu_seconds,
        now.gpu_seconds,
        *now.worker_seconds.values(),
        *now.rung_trials.values(),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_no_sum_of_a_living_sweep_falls_and_its_states_add_up(seed: int) -> None:
    sweep = Simulated(14, [], limit=4, seed=seed)
    before = growing(sweep.book.standing.reading())
    while sweep.step():
        now = sweep.book.standing.reading()
        assert all(new >= old for new, old in zip(growing(now), before, strict=True))
        assert sum(now.trials.values()) == now.planned == 14
        assert now.trials["running"] == sweep.book.open
        before = growing(now)
    sweep.book.close()
    ended = [row.state for row in map(sweep.book.tally.row, range(14))]
    now = sweep.book.standing.reading()
    assert now.trials["pruned"] == ended.count("pruned")
    assert now.cpu_seconds == pytest.approx(sweep.book.tally.cpu_seconds)


def test_a_sweep_that_goes_on_keeps_its_sums() -> None:
    first = Simulated(14, [], limit=4)
    for _ in range(20):
        first.step()
    before = first.book.standing.reading()
    again = Simulated(14, first.ledger.events[:], limit=4)
    now = again.book.standing.reading()
    assert all(new >= old for new, old in zip(growing(now), growing(before), strict=True))
    assert now.attempts == 2
    assert now.trials["running"] == 0


def test_time_goes_on_between_two_events(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [1_000.0]
    monkeypatch.setattr("cifar_dist.standing.time.monotonic", lambda: moment[0])
    standing = Standing(4, RUNGS)
    standing.live(1_000.0, budget_seconds=100, spent_before=0.0)
    standing.add({"event": "open", "cpus": 1.0, "gpus": 1.0, "slots": 2, "at_seconds": 0.0})
    standing.add({"event": "start", "trial": 0, "overrides": {}, "at_seconds": 0.0})
    moment[0] += 10.0
    now = standing.reading()
    assert (now.gpu_seconds, now.worker_seconds["idle"], now.budget_used) == (10.0, 10.0, 0.1)
    assert (now.worker_seconds["starting"], now.worker_seconds["busy"]) == (0.0, 0.0)
    standing.started(0, start_seconds=3.0)
    now = standing.reading()
    assert (now.worker_seconds["starting"], now.worker_seconds["busy"]) == (3.0, 7.0)


def test_a_lost_worker_makes_its_trial_start_again(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [0.0]
    monkeypatch.setattr("cifar_dist.standing.time.monotonic", lambda: moment[0])
    standing = Standing(1)
    standing.live(0.0, None, 0.0)
    standing.add({"event": "open", "cpus": 1.0, "gpus": 0.0, "slots": 1, "at_seconds": 0.0})
    standing.add({"event": "start", "trial": 0, "overrides": {}, "at_seconds": 0.0})
    moment[0] = 4.0
    standing.started(0, 1.0)
    moment[0] = 9.0
    standing.lost(0)
    moment[0] = 12.0
    standing.started(0, 2.0)
    spent = standing.reading().worker_seconds
    assert (spent["starting"], spent["busy"], spent["idle"]) == (3.0, 9.0, 0.0)


def test_the_time_left_is_told_once_a_trial_ended_here() -> None:
    sweep = Simulated(14, [])
    assert sweep.book.standing.reading().eta_seconds is None
    while not sweep.book.ended:
        sweep.step()
    assert (sweep.book.standing.reading().eta_seconds or 0.0) > 0.0


def test_a_reading_holds_plain_numbers_only() -> None:
    now = replayed().reading()
    for field in fields(now):
        value = getattr(now, field.name)
        values = value.values() if isinstance(value, dict) else [value]
        assert {type(one) for one in values} <= {int, float, type(None)}
