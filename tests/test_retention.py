"""Retention: one rule of what stays of a run, for its writer and for cleaning up."""

from collections.abc import Iterator
from datetime import timedelta
from inspect import signature
from pathlib import Path

import pytest

from cifar_dist.checkpoint import HISTORY, STATE, WEIGHTS
from cifar_dist.cli.retention import _age, _gc
from cifar_dist.runs import Manifest, Run
from cifar_dist.runs.cleaning import Policy
from cifar_dist.runs.retention import FILES, Plan, Rule, plan
from cifar_dist.store import Entry, MissingError, Store
from tests.checkpoints import commit, flip

HOUR = timedelta(hours=1)


@pytest.fixture
def kept_run(store: Store) -> Run:
    """Give a run in an empty store of each kind."""
    return Run(store, "runs/a-00000000")


def judged(run: Run, rule: Rule) -> Plan:
    return plan(run.store, run.prefix, rule, run.pins)


def committed(run: Run, tmp_path: Path, *steps: int) -> list[Manifest]:
    attempt = run.claim_attempt()
    return [commit(attempt, tmp_path, step) for step in steps]


def test_the_newest_the_best_and_the_pinned_stay_and_it_is_said_why(
    kept_run: Run, tmp_path: Path
) -> None:
    sent = committed(kept_run, tmp_path, 1, 2, 3, 4, 5)
    kept_run.pin("best", sent[0])
    kept_run.pin("shown", sent[1])
    found = judged(kept_run, Rule(keep=2))
    assert found.kept == {
        sent[4].folder: ["newest"],
        sent[3].folder: ["newest"],
        sent[0].folder: ["best"],
        sent[1].folder: ["shown"],
    }
    assert list(found.doomed) == [sent[2].folder]
    assert len(kept_run.checkpoints()) == 5


def test_an_object_that_no_manifest_names_is_never_removed(kept_run: Run, tmp_path: Path) -> None:
    old, _ = committed(kept_run, tmp_path, 1, 2)
    foreign = [f"{old.folder}/notes.txt", "runs/a-00000000/attempts/step-1/x", "mine/x"]
    foreign += ["runs/a-00000000/attempts/000009/step-000000000001/x", "runs/a-00000000/x"]
    for key in foreign:
        kept_run.store.write(key, b"mine")
    assert kept_run.prune(1) == 1
    assert kept_run.prune(1) == 0  # by now the folder is one that was never committed
    kept_run.claim_attempt()
    late = kept_run.store.now() + HOUR
    judged(kept_run, Rule(1, late, late)).carry_out(kept_run.store, kept_run.pins)
    assert all(kept_run.store.read(key, 9) == b"mine" for key in foreign)
    with pytest.raises(MissingError):
        kept_run.store.read(f"{old.folder}/state.pt", 1)


def test_what_was_committed_just_now_stays(run: Run, tmp_path: Path) -> None:
    committed(run, tmp_path, 1, 2, 3)
    now = run.store.now()
    young = judged(run, Rule(1, committed_before=now - HOUR))
    assert not young.doomed
    assert list(young.kept.values()).count(["committed just now"]) == 2
    assert len(judged(run, Rule(1, committed_before=now + HOUR)).doomed) == 2


def test_what_the_newest_attempt_never_committed_goes_only_once_it_is_old(run: Run) -> None:
    run.claim_attempt()
    half = "runs/a-00000000/attempts/000001/step-000000000001/state.pt"
    run.store.write(half, b"half")
    now = run.store.now()
    assert not judged(run, Rule(left_before=now - HOUR)).doomed
    assert [entry.key for entry in judged(run, Rule(left_before=now + HOUR)).entries] == [half]
    run.claim_attempt()
    assert judged(run, Rule(left_before=now - HOUR)).doomed  # superseded: it never will be


def test_a_manifest_goes_before_its_files(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(run, tmp_path, 1, 2, 3)
    calls: list[list[str]] = []
    monkeypatch.setattr(run.store, "delete", lambda keys: calls.append(list(keys)))
    run.prune(1)
    monkeypatch.undo()
    manifests, files = calls
    assert {key.rpartition("/")[2] for key in manifests} == {"MANIFEST.json"}
    assert {key.rpartition("/")[2] for key in files} == {"state.pt", "history.json"}


def test_a_checkpoint_whose_manifest_is_damaged_is_left_to_be_looked_at(
    run: Run, place: Path, tmp_path: Path
) -> None:
    old, _ = committed(run, tmp_path, 1, 2)
    flip(place / old.key)
    assert run.prune(1) == 0
    assert judged(run, Rule(1)).kept[old.folder] == ["its manifest is damaged"]


def test_what_a_checkpoint_has_is_known_by_name() -> None:
    assert {WEIGHTS, STATE, HISTORY} == FILES


def test_a_damaged_manifest_is_read_once_by_a_writer_and_goes_once_it_is_old(
    run: Run, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, bad, new = committed(run, tmp_path, 1, 2, 3)
    flip(place / bad.key)
    reads, read = list[str](), run.store.read
    monkeypatch.setattr(run.store, "read", lambda key, limit: reads.append(key) or read(key, limit))
    assert run.prune(2) == 0
    assert reads.count(bad.key) == 1
    late = run.store.now() + HOUR
    assert not judged(run, Rule(3, late, late)).doomed  # too few others are whole
    assert list(judged(run, Rule(1, late, late - 2 * HOUR)).doomed) == [f"{bad.folder[:-1]}1"]
    gone = judged(run, Rule(2, late, late))
    assert next(entry.key for entry in gone.entries) == bad.key and len(gone.entries) == 3
    assert new.folder in gone.kept


def test_where_a_damaged_claim_hides_what_came_before_nothing_of_that_goes(
    run: Run, place: Path, tmp_path: Path
) -> None:
    for step in (1, 2, 3):
        commit(run.claim_attempt(), tmp_path, step)
    run.store.write(run.key(f"attempts/000001/step-{9:012d}/state.pt"), b"half")
    flip(place / run.key("attempts/000002.json"))
    late = run.store.now() + HOUR
    found = judged(run, Rule(1, late, late))
    assert [folder[-1] for folder in found.doomed] == ["2"]
    assert [why for folder, why in found.kept.items() if "/000001/" in folder] == [
        ["a newer claim is damaged"]
    ]


def test_what_an_unfinished_attempt_may_go_on_from_stays_until_it_has_enough_of_its_own(
    run: Run, tmp_path: Path
) -> None:
    committed(run, tmp_path, 1, 2, 3)
    attempt = run.claim_attempt()
    commit(attempt, tmp_path, 4)
    assert not judged(run, Rule(2, goes_on=True)).doomed
    assert len(judged(run, Rule(2)).doomed) == 2
    commit(attempt, tmp_path, 5)
    found = judged(run, Rule(2, goes_on=True))
    assert [folder[-1] for folder in found.doomed] == ["1", "2"]
    assert [why for folder, why in found.kept.items() if folder[-1] == "3"] == [["resumed from"]]


def test_a_pin_that_is_set_after_the_judgment_holds(run: Run, tmp_path: Path) -> None:
    sent = committed(run, tmp_path, 1, 2, 3)
    found = judged(run, Rule(1))
    run.pin("shown", sent[0])
    found.carry_out(run.store, run.pins)
    assert [each.step for each in run.checkpoints()] == [3, 1]
    assert found.kept[sent[0].folder] == ["shown"] and list(found.doomed) == [sent[1].folder]


def test_what_another_process_commits_and_pins_meanwhile_stays(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = run.claim_attempt()
    run.pin("best", commit(attempt, tmp_path, 1))
    listed, done = run.store.entries, []

    def overtaken(prefix: str) -> Iterator[Entry]:
        seen = list(listed(prefix))
        if prefix.endswith("attempts") and not done:
            done.append(prefix)
            run.pin("best", commit(attempt, tmp_path, 2))
            for step in (3, 4):
                commit(attempt, tmp_path, step)
        return iter(seen)

    monkeypatch.setattr(run.store, "entries", overtaken)
    Run(run.store, run.prefix).prune(1)
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [4, 3, 2, 1]
    best = run.best()
    assert best is not None and best.step == 2


def test_the_command_keeps_by_default_what_the_policy_does() -> None:
    # The command's own defaults are there before anything else is imported: for its help.
    given = {name: each.default for name, each in signature(_gc).parameters.items()}
    assert Policy() == Policy(given["keep"], given["keep_trials"], _age(given["older_than"]))
