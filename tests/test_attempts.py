"""Attempts: what a listing says is never believed alone, and a run's lives are told."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cifar_dist.errors import DamagedError, RefusedError
from cifar_dist.runs import Manifest, Run
from cifar_dist.store import Entry, Store, open_store
from tests.checkpoints import commit, flip


class Lagging:
    """Makes a store's listings show what was there at the first of them, or at a given time."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = store.entries
        self._seen: list[Entry] | None = None
        self.listings = 0
        monkeypatch.setattr(store, "entries", self._listed)

    def freeze(self) -> None:
        """From here on listings show what is there now."""
        self._seen = list(self._now())

    def thaw(self) -> None:
        """Let listings tell the truth again."""
        self._seen = None

    def _listed(self, prefix: str = "") -> Iterator[Entry]:
        self.listings += 1
        entries = self._now() if self._seen is None else self._seen
        return iter([entry for entry in entries if entry.key.startswith(prefix)])


@pytest.fixture
def lagging(run: Run, monkeypatch: pytest.MonkeyPatch) -> Lagging:
    return Lagging(run.store, monkeypatch)


def test_a_claim_that_is_not_listed_yet_is_found_by_reading(
    run: Run, lagging: Lagging, tmp_path: Path
) -> None:
    lagging.freeze()
    first, second = run.claim_attempt(), run.claim_attempt()
    assert (first.number, second.number) == (1, 2)
    with pytest.raises(RefusedError, match="superseded"):
        commit(first, tmp_path, 1)
    commit(second, tmp_path, 2)
    assert run.claim_attempt().number == 3


def test_what_a_fenced_attempt_committed_is_not_chosen_though_its_successor_is_not_listed(
    run: Run, lagging: Lagging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zombie = run.claim_attempt()
    base = commit(zombie, tmp_path, 1)
    lagging.freeze()
    run.claim_attempt()
    lagging.thaw()
    monkeypatch.setattr(zombie, "check_fence", lambda: None)
    commit(zombie, tmp_path, 2)
    hidden = "runs/a-00000000/attempts/000002.json"
    listed = run.store.entries
    monkeypatch.setattr(
        run.store, "entries", lambda prefix: (e for e in listed(prefix) if e.key != hidden)
    )
    assert run.latest_intact(tmp_path / "back") == base


def pruned(run: Run, lagging: Lagging, tmp_path: Path) -> list[Manifest]:
    """Commit five checkpoints and remove all but two while the listing shows all five."""
    attempt = run.claim_attempt()
    sent = [commit(attempt, tmp_path, step) for step in range(1, 6)]
    lagging.freeze()
    run.store.delete([f"{each.folder}/{name}" for each in sent[2:] for name in FILES])
    return sent[:2]


FILES = ["MANIFEST.json", "state.pt", "history.json"]


def test_what_is_listed_and_gone_is_passed_over(run: Run, lagging: Lagging, tmp_path: Path) -> None:
    left = pruned(run, lagging, tmp_path)
    assert run.latest_intact(tmp_path / "back") == left[1]
    assert run.checkpoints() == left[::-1]


def test_what_is_listed_and_gone_is_neither_a_base_nor_kept_in_place_of_what_is_there(
    run: Run, lagging: Lagging, tmp_path: Path
) -> None:
    left = pruned(run, lagging, tmp_path)
    run.prune(2)
    lagging.thaw()
    assert run.checkpoints() == left[::-1]
    run.claim_attempt()
    assert run.attempts()[1].resumed_step == 2


@pytest.mark.parametrize("count", [1, 4, 9])
def test_a_manifest_that_vanished_leads_to_another_listing_at_most_five_times(
    run: Run, lagging: Lagging, tmp_path: Path, count: int
) -> None:
    attempt = run.claim_attempt()
    sent = [commit(attempt, tmp_path, step) for step in range(1, count + 2)]
    lagging.freeze()
    run.store.delete([each.key for each in sent[1:]])
    lagging.listings = 0
    assert run.latest_intact(tmp_path / "back") == sent[0]
    assert lagging.listings == 1 + min(count, 5)


def test_a_damaged_manifest_is_passed_over_for_the_base(
    run: Run, place: Path, tmp_path: Path
) -> None:
    attempt = run.claim_attempt()
    older, newer = commit(attempt, tmp_path, 1), commit(attempt, tmp_path, 2)
    flip(place / newer.key)
    run.claim_attempt()
    assert run.latest_intact(tmp_path / "back") == older
    assert [each.resumed_step for each in run.attempts()] == [None, 1]


def test_a_new_attempt_of_a_run_whose_manifests_are_all_damaged_does_not_start_anew(
    run: Run, place: Path, tmp_path: Path
) -> None:
    flip(place / commit(run.claim_attempt(), tmp_path, 1).key)
    run.claim_attempt()
    with pytest.raises(DamagedError, match="none of the 1 checkpoints"):
        run.latest_intact(tmp_path / "back")


def test_the_lives_of_a_run_are_told_from_their_claims(place: Path, tmp_path: Path) -> None:
    run = Run(open_store(str(place)), "runs/a-00000000")
    assert run.attempts() == ()
    run.claim_attempt(world_size=2)
    commit(run.claim_attempt(world_size=2), tmp_path, 120)
    run.claim_attempt(world_size=1)
    told = [(each.number, each.workers, each.resumed_step) for each in run.attempts()]
    assert told == [(1, 2, None), (2, 2, None), (3, 1, 120)]


def test_the_best_is_kept_though_its_pin_is_not_listed_yet(
    run: Run, lagging: Lagging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = run.claim_attempt()
    sent = [commit(attempt, tmp_path, step) for step in range(1, 6)]
    run.pin("best", sent[0])
    monkeypatch.setattr(run.store, "folders", lambda prefix: [])
    listed = run.store.entries
    monkeypatch.setattr(
        run.store, "entries", lambda prefix: (e for e in listed(prefix) if "/pins/" not in e.key)
    )
    assert run.best() == sent[0]
    run.prune(2)
    assert run.checkpoints() == [sent[4], sent[3], sent[0]]
    run.pin("best", sent[4])
    assert run.best() == sent[4]


def test_pruning_leaves_alone_what_a_newer_attempt_writes_meanwhile(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(run.claim_attempt(), tmp_path, 1)
    listed, listings = run.store.entries, []
    half = "runs/a-00000000/attempts/000002/step-000000000002/state.pt"

    def claimed_in_between(prefix: str) -> Iterator[Entry]:
        seen = list(listed(prefix))
        listings.append(prefix)
        if len(listings) == 1:  # it told what there is to judge
            commit(run.claim_attempt(), tmp_path, 3)
            run.store.write(half, b"being written")
        return iter(seen)

    monkeypatch.setattr(run.store, "entries", claimed_in_between)
    run.prune(1)
    assert run.store.read(half, 100) == b"being written"
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [3, 1]


def test_a_damaged_claim_of_old_is_left_out_of_the_lives(
    run: Run, place: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (1, 2, 3):
        commit(run.claim_attempt(), tmp_path, step)
    flip(place / run.key("attempts/000001.json"))
    with caplog.at_level(logging.WARNING):
        assert [life.number for life in run.attempts()] == [2, 3]
    assert "attempts/000001.json" in caplog.text


def test_a_base_that_is_lost_is_never_replaced_by_a_new_beginning(
    run: Run, place: Path, tmp_path: Path
) -> None:
    commit(run.claim_attempt(), tmp_path, 1)
    run.claim_attempt()
    shutil.rmtree(place / run.key("attempts/000001"))
    with pytest.raises(DamagedError, match="--fresh"):
        run.latest_intact(tmp_path / "back")


def test_another_training_of_a_run_begins_anew_and_the_same_one_goes_on(
    run: Run, tmp_path: Path
) -> None:
    short, whole = (Run(run.store, run.prefix, training) for training in (1, 9))
    commit(short.claim_attempt(), tmp_path, 18)
    assert short.latest_intact(tmp_path / "short") is not None
    older = short.claim_attempt()
    attempt = whole.claim_attempt()
    with pytest.raises(RefusedError, match="superseded"):
        older.check_fence()
    assert whole.latest_intact(tmp_path / "whole") is None
    kept = commit(attempt, tmp_path, 7)
    whole.claim_attempt()
    assert (whole.training, whole.latest_intact(tmp_path / "back")) == (9, kept)
    assert [attempt.resumed_step for attempt in run.attempts()] == [None, 18, None, 7]
