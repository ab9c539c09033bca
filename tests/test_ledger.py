"""A sweep's ledger: what was told is found again, in order, after any restart."""

from pathlib import Path

import pytest

from cifar_dist.errors import DamagedError, RefusedError
from cifar_dist.runs import Ledger, Sweep
from cifar_dist.store import Store, open_store


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return Sweep(open_store(str(tmp_path)), "sweeps/s-00000000")


def run_trial(ledger: Ledger, trial: int) -> None:
    ledger.add("start", trial, overrides={"recipe.optimizer.lr": 0.1})
    ledger.add("epoch", trial, epoch=1, validation_loss=2.0)
    ledger.add("rung", trial, epoch=1, value=0.5)
    ledger.add("end", trial, state="pruned", reason="below the best third", epochs=1)


def test_what_was_told_is_found_again(store: Store) -> None:
    sweep = Sweep(store, "sweeps/s-00000000")
    ledger = Ledger(sweep, sweep.claim_attempt())
    run_trial(ledger, 3)
    log = sweep.trials()[3]
    assert (log.state, log.overrides) == ("pruned", {"recipe.optimizer.lr": 0.1})
    assert log.rungs == {1: 0.5} and log.epochs[1]["validation_loss"] == 2.0
    assert log.end is not None and log.end["reason"] == "below the best third"


def test_a_rung_and_an_end_are_stored_at_once(sweep: Sweep) -> None:
    ledger = Ledger(sweep, sweep.claim_attempt())
    ledger.add("start", 0, overrides={})
    assert sweep.events() == []
    ledger.add("rung", 0, epoch=1, value=0.5)
    assert [event["event"] for event in sweep.events()] == ["start", "rung"]
    ledger.add("start", 1, overrides={})
    ledger.flush()
    assert sweep.trials()[1].state == "started"


def test_a_restarted_trial_is_unfinished_and_keeps_its_rungs(sweep: Sweep) -> None:
    first = Ledger(sweep, sweep.claim_attempt())
    first.add("start", 0, overrides={"a": 1})
    first.add("rung", 0, epoch=1, value=0.5)
    second = Ledger(sweep, sweep.claim_attempt())
    second.add("start", 0, overrides={"a": 1})
    second.add("rung", 0, epoch=3, value=0.7)
    assert sweep.trials()[0].state == "started"
    assert sweep.trials()[0].rungs == {1: 0.5, 3: 0.7}
    assert [event["attempt"] for event in sweep.events()] == [1, 1, 2, 2]


def test_a_fenced_driver_cannot_add_events(sweep: Sweep) -> None:
    ledger = Ledger(sweep, sweep.claim_attempt())
    sweep.claim_attempt()
    with pytest.raises(RefusedError, match="superseded"):
        run_trial(ledger, 0)
    assert sweep.events() == []


def test_a_damaged_segment_is_refused(sweep: Sweep, tmp_path: Path) -> None:
    run_trial(Ledger(sweep, sweep.claim_attempt()), 0)
    segment = next(tmp_path.rglob("events-*.jsonl"))
    segment.write_bytes(segment.read_bytes().replace(b"0.5", b"0.6"))
    with pytest.raises(DamagedError, match="--fresh"):
        sweep.trials()


def test_a_trial_is_a_run_below_its_sweep(sweep: Sweep) -> None:
    assert sweep.trial(12).prefix == "sweeps/s-00000000/trials/000012"
