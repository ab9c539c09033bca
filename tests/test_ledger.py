"""A sweep's ledger: what was told is found again, in order, after any restart."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from cifar_dist.errors import DamagedError, RefusedError
from cifar_dist.runs import Goal, Ledger, Sweep
from cifar_dist.runs.segments import CHUNK
from cifar_dist.store import Entry, Store, open_store
from cifar_dist.store.folder import FolderStore
from tests.ledgers import trial_logs


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
    log = trial_logs(sweep)[3]
    assert (log.state, log.overrides) == ("pruned", {"recipe.optimizer.lr": 0.1})
    assert log.rungs == {1: 0.5} and log.epochs[1]["validation_loss"] == 2.0
    assert log.end is not None and log.end["reason"] == "below the best third"


def test_a_rung_and_an_end_are_stored_at_once(sweep: Sweep) -> None:
    ledger = Ledger(sweep, sweep.claim_attempt())
    ledger.add("start", 0, overrides={})
    assert list(sweep.events()) == []
    ledger.add("rung", 0, epoch=1, value=0.5)
    assert [event["event"] for event in sweep.events()] == ["start", "rung"]
    ledger.add("start", 1, overrides={})
    ledger.flush()
    assert trial_logs(sweep)[1].state == "started"


def test_a_restarted_trial_is_unfinished_and_keeps_its_rungs(sweep: Sweep) -> None:
    first = Ledger(sweep, sweep.claim_attempt())
    first.add("start", 0, overrides={"a": 1})
    first.add("rung", 0, epoch=1, value=0.5)
    second = Ledger(sweep, sweep.claim_attempt())
    second.add("start", 0, overrides={"a": 1})
    second.add("rung", 0, epoch=3, value=0.7)
    assert trial_logs(sweep)[0].state == "started"
    assert trial_logs(sweep)[0].rungs == {1: 0.5, 3: 0.7}
    assert [event["attempt"] for event in sweep.events()] == [1, 1, 2, 2]


def test_a_fenced_driver_cannot_add_events(sweep: Sweep) -> None:
    ledger = Ledger(sweep, sweep.claim_attempt())
    sweep.claim_attempt()
    with pytest.raises(RefusedError, match="superseded"):
        run_trial(ledger, 0)
    assert list(sweep.events()) == []


def test_a_damaged_segment_is_refused(sweep: Sweep, tmp_path: Path) -> None:
    run_trial(Ledger(sweep, sweep.claim_attempt()), 0)
    segment = next(tmp_path.rglob("events-*.jsonl"))
    segment.write_bytes(segment.read_bytes().replace(b"0.5", b"0.6"))
    with pytest.raises(DamagedError, match="--fresh"):
        trial_logs(sweep)


def test_a_trial_is_a_run_below_its_sweep(sweep: Sweep) -> None:
    assert sweep.trial(12).prefix == "sweeps/s-00000000/trials/000012"


def told(sweep: Sweep, count: int) -> Ledger:
    """Tell so many rungs, each of them a segment, after an opening one."""
    ledger = Ledger(sweep, sweep.claim_attempt())
    ledger.open(cpus=1.0, gpus=0.0)
    for epoch in range(count):
        ledger.add("rung", 0, epoch=epoch, value=0.5)
    return ledger


def epochs(events: Iterable[dict[str, object]]) -> list[object]:
    return [event["epoch"] for event in events if event["event"] == "rung"]


@pytest.mark.parametrize("lost", [1, 2, 4])
def test_a_hole_in_the_segments_is_named_with_a_way_out(
    sweep: Sweep, tmp_path: Path, lost: int
) -> None:
    told(sweep, 4)
    next(tmp_path.rglob(f"events-{lost:06d}.jsonl")).unlink()
    with pytest.raises(DamagedError, match=rf"events-{lost:06d}.jsonl is missing.*--fresh"):
        list(sweep.events())


def test_segments_that_a_listing_misses_are_read_all_the_same(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(sweep, 9)
    whole = FolderStore.entries

    def stale(self: FolderStore, prefix: str = "") -> Iterator[Entry]:
        return (entry for entry in whole(self, prefix) if entry.key[-12:] < "000004.jsonl")

    monkeypatch.setattr(FolderStore, "entries", stale)
    assert epochs(sweep.events()) == list(range(9))


@pytest.mark.parametrize("lost", ["", "merged-*", "events-*"])
def test_many_segments_are_read_as_a_few_and_either_form_will_do(
    sweep: Sweep, tmp_path: Path, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)
    told(sweep, 2 * CHUNK + 9)
    merged = sorted(tmp_path.rglob("merged-*"))
    assert len(merged) == 2
    for segment in sorted(tmp_path.rglob(lost))[: 2 * CHUNK] if lost else ():
        segment.unlink()
    if not lost:
        merged[0].write_bytes(merged[0].read_bytes()[:-9])
    read: list[str] = []
    monkeypatch.setattr(FolderStore, "read", spied(FolderStore.read, read))
    assert epochs(sweep.events()) == list(range(2 * CHUNK + 9))
    if lost == "events-*":
        assert len(read) < 40


def spied(read: object, seen: list[str]) -> object:
    def call(self: FolderStore, key: str, limit: int) -> bytes:
        seen.append(key)
        return read(self, key, limit)  # type: ignore[operator, no-any-return]

    return call


def test_what_a_fenced_driver_still_wrote_does_not_count(sweep: Sweep) -> None:
    zombie = told(sweep, 2)
    zombie._attempt.check_fence = lambda: None  # type: ignore[method-assign]
    told(sweep, 0)
    zombie.add("rung", 0, epoch=7, value=0.9)
    third = Ledger(sweep, sweep.claim_attempt())
    assert epochs(third.replay()) == [0, 1]
    assert epochs(sweep.events()) == [0, 1]


def test_each_event_tells_when_its_attempt_was_how_old(sweep: Sweep) -> None:
    first = Ledger(sweep, sweep.claim_attempt(), started=0.0)
    assert first.add("close")["at_seconds"] > 0
    second = Ledger(sweep, sweep.claim_attempt())
    second.add("close")
    old, young = (event["at_seconds"] for event in sweep.events())
    assert young < 60 < old


def test_an_extension_is_finished_beside_the_result_that_was_there(sweep: Sweep) -> None:
    sweep.create({"space": {"trials": 4}, "final": {"recipe.epochs": 9}})
    assert sweep.goal == Goal(final={"recipe.epochs": 9})
    sweep.finish({"best": 1})
    more = Goal(1, trials=6, added=2, final={}, spent_seconds=9.5)
    sweep.extend(more)
    assert (sweep.goal, sweep.finished, sweep.result) == (more, None, {"best": 1})
    sweep.finish({"best": 5}, 1)
    assert sweep.finished == sweep.result == {"best": 5}
    assert sweep.recorded("result.json") == {"best": 1}
    with pytest.raises(RefusedError):
        sweep.extend(Goal(1, trials=7, added=3))
