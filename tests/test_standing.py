"""Where a sweep stands follows from its ledger; its sums agree with the tally and never fall."""

from dataclasses import fields

import pytest

from cifar_dist.spending import Allowance
from cifar_dist.standing import Reading, Standing
from cifar_dist.tally import Tally
from tests.replays import EPOCHS, RUNGS, SLOTS, ledger, lived
from tests.simulated_sweeps import Simulated

pytestmark = pytest.mark.filterwarnings("default")
TRIALS = 60


def after(trials: int = TRIALS) -> Standing:
    standing = Standing(trials + 5, RUNGS)
    lived(standing, ledger(trials))
    return standing


ENDED = {
    "waiting": 5,
    "running": 0,
    "finished": TRIALS // 3,
    "pruned": TRIALS - TRIALS // 3 - 1,
    "failed": 1,
}


def test_a_sweep_is_counted_as_it_was() -> None:
    now = after().reading()
    assert now.trials == ENDED
    assert now.rung_trials == {1: TRIALS, 3: TRIALS * 2 // 3}
    assert now.epochs == TRIALS // 3 * (1 + 3 + EPOCHS)
    assert now.images == 100 * now.epochs
    assert (now.planned, now.slots) == (TRIALS + 5, SLOTS)
    assert now.best_accuracy == pytest.approx(0.5 + 59 / 250)


def test_trials_are_of_all_attempts_and_sums_of_this_one() -> None:
    tally = Tally(ledger(TRIALS))
    now = Standing(TRIALS + 5, RUNGS, tally).reading()
    assert now.trials == ENDED
    assert now.rung_trials == {1: TRIALS, 3: TRIALS * 2 // 3}
    assert now.best_accuracy == pytest.approx(0.5 + 59 / 250)
    assert (now.sweep_cpu_seconds, now.sweep_gpu_seconds) == (tally.cpu_seconds, tally.gpu_seconds)
    assert growing(now)[:4] == [0, 0.0, 0.0, 0.0]
    assert sum(now.worker_seconds.values()) == 0.0


def test_what_was_reserved_is_what_the_tally_says() -> None:
    now, tally = after().reading(), Tally(ledger(TRIALS))
    assert now.cpu_seconds == pytest.approx(tally.cpu_seconds)
    assert now.gpu_seconds == pytest.approx(tally.gpu_seconds)


def test_the_seconds_of_the_slots_add_up_to_how_long_there_were_slots() -> None:
    now, tally = after().reading(), Tally(ledger(TRIALS))
    assert sum(now.worker_seconds.values()) == pytest.approx(tally.wall_seconds - 1), "one slot"
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


class Clock:
    """A driver's time."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        patch.setattr("cifar_dist.standing.time.monotonic", lambda: self.now)

    def opened(self, standing: Standing, slots: int, trials: int, seconds: float = 0.0) -> None:
        """Let an attempt begin that asks at once for so many trials."""
        standing.live(self.now)
        standing.allow(Allowance(seconds=100))
        self.now += seconds
        told = {"cpus": 1.0, "gpus": 1.0, "slots": slots, "at_seconds": seconds}
        standing.add({"event": "open", **told})
        for trial in range(trials):
            standing.add({"event": "start", "trial": trial, "overrides": {}, **told})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_machines_that_never_came_cost_nothing_and_are_not_idle(clock: Clock) -> None:
    standing = Standing(10)
    clock.opened(standing, slots=64, trials=10)
    clock.now += 600.0
    now = standing.reading()
    assert now.trials["waiting"] == 10
    assert (now.gpu_seconds, now.slots, set(now.worker_seconds.values())) == (0.0, 64, {0.0})
    for trial in range(2):
        standing.placed(trial)
    clock.now += 5.0
    standing.started(0, start_seconds=602.0)
    standing.add({**END, "trial": 1, "at_seconds": 605.0})
    clock.now += 3.0
    now = standing.reading()
    assert (now.trials["running"], now.gpu_seconds) == (1, 13.0)
    assert now.worker_seconds == {"starting": 7.0, "busy": 3.0, "idle": 3.0}


END = {"event": "end", "state": "failed", "validation_accuracy": None, "start_seconds": None}


def test_a_resumed_sweep_begins_with_no_trial_of_a_killed_driver(clock: Clock) -> None:
    first = Simulated(14, [], limit=4)
    for _ in range(20):
        first.step()
    assert first.book.standing.reading().trials["running"] > 0
    standing = Simulated(14, first.ledger.events[:], limit=4).book.standing
    again = standing.reading()
    assert (again.trials["running"], again.images_per_second, again.cpu_seconds) == (0, 0.0, 0.0)
    assert again.sweep_cpu_seconds == pytest.approx(first.book.standing.reading().cpu_seconds)


def test_a_budget_is_what_the_attempts_took_and_no_more(clock: Clock) -> None:
    events = [
        {"event": "open", "cpus": 1.0, "gpus": 1.0, "slots": 1, "at_seconds": 0.0},
        {"event": "start", "trial": 0, "overrides": {}, "at_seconds": 1.0},
        {"event": "rung", "trial": 0, "epoch": 1, "value": 0.5, "at_seconds": 8.0},
    ]
    killed = Tally(events)
    killed.settle()
    standing = Standing(4, (), killed)
    clock.opened(standing, slots=4, trials=0, seconds=12.0)
    now = standing.reading()
    assert (now.budget_used, now.sweep_gpu_seconds) == (0.2, 7.0)


def test_time_goes_on_between_two_events(clock: Clock) -> None:
    standing = Standing(4, RUNGS)
    clock.opened(standing, slots=2, trials=1)
    standing.placed(0)
    clock.now += 10.0
    now = standing.reading()
    assert (now.gpu_seconds, now.worker_seconds["idle"], now.budget_used) == (10.0, 0.0, 0.1)
    assert (now.worker_seconds["starting"], now.worker_seconds["busy"]) == (0.0, 0.0)
    standing.started(0, start_seconds=3.0)
    now = standing.reading()
    assert (now.worker_seconds["starting"], now.worker_seconds["busy"]) == (3.0, 7.0)


def test_a_lost_worker_makes_its_trial_start_again(clock: Clock) -> None:
    standing = Standing(1)
    clock.opened(standing, slots=1, trials=1)
    standing.placed(0)
    clock.now += 4.0
    standing.started(0, 1.0)
    clock.now += 5.0
    standing.lost(0)
    clock.now += 10.0
    standing.placed(0)
    clock.now += 3.0
    standing.started(0, 4.0 + 5.0 + 10.0 + 2.0)  # from when it was asked for
    now = standing.reading()
    assert now.worker_seconds == {"starting": 3.0, "busy": 9.0, "idle": 10.0}
    assert now.cpu_seconds == 12.0


def test_the_time_left_is_told_once_a_trial_ended_here() -> None:
    sweep = Simulated(14, [])
    assert sweep.book.standing.reading().eta_seconds is None
    while not sweep.book.ended:
        sweep.step()
    assert (sweep.book.standing.reading().eta_seconds or 0.0) > 0.0


def test_a_reading_holds_plain_numbers_only() -> None:
    now = after().reading()
    for field in fields(now):
        value = getattr(now, field.name)
        values = value.values() if isinstance(value, dict) else [value]
        assert {type(one) for one in values} <= {int, float, type(None)}
