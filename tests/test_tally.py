"""What a sweep comes to follows from its ledger alone, wherever that was cut."""

import copy
from typing import Any

import pytest

from cifar_dist.documents import TrialRow
from cifar_dist.search import rungs_of
from cifar_dist.tally import Tally
from tests.simulated_sweeps import EPOCHS, RUNGS, Event, Simulated, accuracy

pytestmark = pytest.mark.filterwarnings("default")

TRIALS = 14
RESTART = {"rungs": "restart"}
ASHA: dict[str, dict[str, Any]] = {"continue": {}, "restart": {**RESTART, "brackets": 2}}


@pytest.fixture(scope="module", params=ASHA)
def asha(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Give ways in which trials are judged."""
    return ASHA[request.param]


@pytest.fixture(scope="module")
def whole(asha: dict[str, Any]) -> tuple[list[Event], list[TrialRow]]:
    """Give the events and the rows of a sweep that nobody interrupted."""
    sweep = Simulated(TRIALS, [], asha=asha)
    rows = sweep.run()
    return sweep.ledger.events, rows


def timeless(rows: list[TrialRow]) -> list[dict[str, object]]:
    return [row.model_dump(exclude={"start_seconds"}) for row in rows]


def test_the_recorded_sweep_has_trials_of_every_kind(
    whole: tuple[list[Event], list[TrialRow]], asha: dict[str, Any]
) -> None:
    states = [row.state for row in whole[1]]
    assert {"finished", "pruned", "failed"} == set(states)
    assert len(states) == TRIALS
    best = whole[1][states.index("finished")]
    training = EPOCHS if asha else None
    assert best.validation_accuracy == accuracy(best.trial, best.best_epoch or 0, training)
    assert best.epochs == EPOCHS


def test_a_sweep_that_goes_on_from_any_cut_comes_to_the_same(
    whole: tuple[list[Event], list[TrialRow]], asha: dict[str, Any]
) -> None:
    events, rows = whole
    for cut in range(len(events) + 1):
        resumed = Simulated(TRIALS, events[:cut], seed=cut, asha=asha)
        assert timeless(resumed.run()) == timeless(rows), f"cut after {cut} events"


def test_a_sweep_that_is_cut_again_and_again_comes_to_the_same(
    whole: tuple[list[Event], list[TrialRow]], asha: dict[str, Any]
) -> None:
    told: list[Event] = []
    for life in range(200):
        sweep = Simulated(TRIALS, told, seed=life, asha=asha)
        for _ in range(life % 3):
            sweep.step()
        told = sweep.ledger.events[: max(len(told), len(sweep.ledger.events) - life % 2)]
    sweep = Simulated(TRIALS, told, asha=asha)
    assert timeless(sweep.run()) == timeless(whole[1])
    starts = [event["trial"] for event in sweep.ledger.events if event["event"] == "end"]
    assert sorted(starts) == list(range(TRIALS)), "each trial ends once"


@pytest.mark.parametrize("seed", range(3))
def test_after_each_step_a_replay_knows_what_the_living_driver_knows(
    seed: int, asha: dict[str, Any]
) -> None:
    sweep = Simulated(TRIALS, [], limit=4, seed=seed, asha=asha)
    while sweep.step():
        before = copy.deepcopy(sweep.rungs)
        replayed = Simulated(TRIALS, sweep.ledger.events[:], asha=asha)
        assert replayed.rungs == before
        assert replayed.pruned == []
        known = Tally(sweep.ledger.events)
        assert known.observations == sweep.book.tally.observations
        assert known.unfinished == sweep.book.tally.unfinished
        for number in known.ends:
            assert known.row(number) == sweep.book.tally.row(number)


@pytest.mark.parametrize("seed", range(3))
def test_a_trial_that_was_to_be_stopped_is_stopped_without_running(
    seed: int, asha: dict[str, Any]
) -> None:
    sweep = Simulated(TRIALS, [], limit=4, seed=seed, asha=asha)
    sweep.run()
    events = sweep.ledger.events
    assert sweep.decided
    for number in sweep.decided:
        end = next(
            place
            for place, event in enumerate(events)
            if (event["event"], event["trial"]) == ("end", number)
        )
        replayed = Simulated(TRIALS, events[:end], asha=asha)
        assert number in replayed.pruned
        row, lived = replayed.book.tally.row(number), sweep.book.tally.row(number)
        assert timeless([row]) == timeless([lived])


def test_a_trial_that_is_trained_anew_at_each_rung_counts_the_epochs_of_all_trainings() -> None:
    sweep = Simulated(TRIALS, [], asha=RESTART)
    rows = {row.state: row for row in sweep.run() if row.state != "failed"}
    finished, pruned = rows["finished"], rows["pruned"]
    assert [rung.epoch for rung in finished.rungs] == RUNGS
    assert (finished.epochs, finished.replaced_epochs) == (EPOCHS, sum(RUNGS))
    assert [record.epoch for record in finished.history] == list(range(1, EPOCHS + 1))
    assert pruned.epochs + pruned.replaced_epochs == sum(rung.epoch for rung in pruned.rungs)
    per_epoch = finished.history[0].seconds
    assert finished.train_seconds == (EPOCHS + sum(RUNGS)) * per_epoch


def test_a_rung_is_judged_by_the_score_of_its_own_training() -> None:
    sweep = Simulated(TRIALS, [], asha=RESTART)
    for row in sweep.run():
        for rung in row.rungs:
            values = [accuracy(row.trial, e, rung.epoch) for e in range(1, rung.epoch + 1)]
            assert rung.value == max(values)


def test_brackets_share_the_trials_and_each_begins_a_rung_later() -> None:
    sweep = Simulated(TRIALS, [], asha={"brackets": 2})
    rungs = rungs_of(sweep.space)
    firsts = {row.trial: row.rungs[0].epoch for row in sweep.run() if row.state != "failed"}
    assert set(firsts.values()) == set(RUNGS)
    assert firsts == {number: rungs.of(number)[0] for number in firsts}


def test_an_epoch_told_again_counts_once_and_a_changed_one_replaces_what_followed() -> None:
    epochs = [{"epoch": e, "train_loss": 1.0, "train_accuracy": 0.5, "lr": 0.1} for e in (1, 2)]
    made = [{**e, "validation_loss": None, "validation_accuracy": None} for e in epochs]
    timed = [{**e, "seconds": 1.0, "images_per_second": 5.0} for e in made]
    tally = Tally([{"event": "start", "trial": 0, "overrides": {}, "at_seconds": 0.0}])
    for record in timed:
        tally.add({"event": "epoch", "trial": 0, "at_seconds": 1.0, **record})
    assert not tally.is_new(0, {**timed[0], "seconds": 9.0})
    changed = {**timed[0], "train_loss": 2.0}
    assert tally.is_new(0, changed)
    tally.add({"event": "epoch", "trial": 0, "at_seconds": 2.0, **changed})
    assert [(r.epoch, r.train_loss) for r in tally.history(0)] == [(1, 2.0)]


def test_time_is_added_up_over_attempts_as_far_as_they_tell() -> None:
    opened = {"event": "open", "cpus": 2.0, "gpus": 0.5}
    start = {"event": "start", "trial": 0, "overrides": {}}
    tally = Tally(
        [
            {**opened, "at_seconds": 5.0},
            {**start, "at_seconds": 10.0},
            {"event": "start", "trial": 1, "overrides": {}, "at_seconds": 20.0},
            {**opened, "cpus": 1.0, "at_seconds": 3.0},
            {**start, "at_seconds": 4.0},
            {"event": "close", "at_seconds": 8.0},
        ]
    )
    assert tally.wall_seconds == 28.0
    assert tally.cpu_seconds == 2 * 10 + 1 * 4
    assert tally.gpu_seconds == 0.5 * 10 + 0.5 * 4
    assert tally.unfinished == [0, 1]


def test_when_trials_held_their_slots_is_told_over_all_attempts() -> None:
    opened = {"event": "open", "cpus": 2.0, "gpus": 0.0}
    start = {"event": "start", "overrides": {}}
    tally = Tally(
        [
            {**opened, "slots": 2, "at_seconds": 5.0},
            {**start, "trial": 0, "at_seconds": 10.0},
            {**start, "trial": 1, "at_seconds": 20.0},
            {**opened, "at_seconds": 3.0},
            {**start, "trial": 0, "at_seconds": 4.0},
            {"event": "close", "at_seconds": 8.0},
        ]
    )
    held = [(span.trial, span.begin_seconds, span.end_seconds) for span in tally.spans]
    assert held == [(0, 10.0, 20.0), (1, 20.0, 20.0), (0, 24.0, 28.0)]
    assert tally.slots == 2


def test_no_more_trials_hold_a_slot_at_once_than_there_are() -> None:
    sweep = Simulated(TRIALS, [], limit=4)
    sweep.run()
    spans = sweep.book.tally.spans
    assert sorted(span.trial for span in spans) == list(range(TRIALS))
    for one in spans:
        begin = one.begin_seconds
        assert sum(s.begin_seconds <= begin < s.end_seconds for s in spans) <= 4
    assert sweep.book.tally.slots == 4
