"""Runs: documents written once, pins, retention and identity."""

from pathlib import Path

import pytest

from cifar_dist.errors import ConfigError, DamagedError, RefusedError
from cifar_dist.runs import Manifest, Run, fingerprint, fresh, identity
from cifar_dist.runs.seal import sealed, unsealed
from tests.checkpoints import commit, flip, state


def test_a_run_is_created_once(run: Run) -> None:
    assert not run.exists
    run.create({"job": {"name": "a"}})
    run.create({"job": {"name": "a"}})
    with pytest.raises(RefusedError, match="--fresh"):
        run.create({"job": {"name": "b"}})
    assert run.document == {"job": {"name": "a"}}


def test_the_first_record_holds_for_all(run: Run) -> None:
    assert run.recorded("precision.json") is None
    assert run.record("precision.json", {"precision": "bf16"}) == {"precision": "bf16"}
    assert run.record("precision.json", {"precision": "fp32"}) == {"precision": "bf16"}
    assert run.recorded("precision.json") == {"precision": "bf16"}


def test_a_result_marks_the_end(run: Run) -> None:
    assert run.finished is None
    run.finish({"schema": "cifar-dist/train/1"})
    assert run.finished == {"schema": "cifar-dist/train/1"}


@pytest.mark.parametrize("position", range(0, 90, 7))
def test_a_flipped_bit_in_a_document_is_seen(position: int) -> None:
    data = bytearray(sealed({"numbers": {2: 0.1, 10: 3}, "text": "ä"}))
    data[position] ^= 1
    with pytest.raises(DamagedError):
        unsealed(bytes(data), "document")


def test_a_sealed_document_comes_back_equal() -> None:
    document = {"numbers": [0.1, 1e-300, 3], "text": "ä", "none": None, "deep": {"10": 1, "9": 2}}
    assert unsealed(sealed(document), "document") == document


def test_the_newest_pin_holds(run: Run, tmp_path: Path) -> None:
    attempt = run.claim_attempt()
    sent = [commit(attempt, tmp_path, step) for step in (1, 2)]
    for manifest in sent:
        run.pin("best", manifest)
    assert run.best() == sent[1]
    assert run.pinned("final") is None


def test_pruning_keeps_the_newest_and_the_pinned(run: Run, place: Path, tmp_path: Path) -> None:
    attempt = run.claim_attempt()
    sent = [commit(attempt, tmp_path, step) for step in range(1, 7)]
    run.pin("best", sent[0])
    run.pin("best", sent[1])
    assert run.prune(2) == 3
    assert run.checkpoints() == [sent[5], sent[4], sent[1]]
    assert not (place / sent[0].folder).exists()


def test_pruning_keeps_what_was_proven_beside_the_newest(run: Run, tmp_path: Path) -> None:
    attempt = run.claim_attempt()
    sent = [commit(attempt, tmp_path, step) for step in range(1, 6)]
    assert run.prune(2, sent[1]) == 2
    assert run.manifest(sent[1].key) == sent[1]


def test_a_damaged_pin_does_not_stop_the_next(run: Run, place: Path, tmp_path: Path) -> None:
    attempt = run.claim_attempt()
    sent = [commit(attempt, tmp_path, step) for step in (1, 2)]
    run.pin("best", sent[0])
    flip(place / run.key("pins/best/000001.json"))
    run.pin("best", sent[1])
    assert run.best() == sent[1]


def test_pruning_removes_what_dead_attempts_left(run: Run, place: Path, tmp_path: Path) -> None:
    commit(run.claim_attempt(), tmp_path, 1)
    run.store.write("runs/a-00000000/attempts/000001/step-000000000002/state.pt", b"half")
    run.claim_attempt()
    run.store.write("runs/a-00000000/attempts/000002/step-000000000003/state.pt", b"being written")
    assert run.prune(1) == 1
    left = [entry.key for entry in run.store.entries(run.key("attempts"))]
    assert "runs/a-00000000/attempts/000002/step-000000000003/state.pt" in left
    assert not any("step-000000000002" in key for key in left)


def test_a_reader_outlives_pruning(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = run.claim_attempt()
    commit(attempt, tmp_path, 1)
    read = run.manifest

    def read_late(key: str) -> Manifest:
        monkeypatch.setattr(run, "manifest", read)
        commit(attempt, tmp_path, 2)
        run.prune(1)
        return read(key)

    monkeypatch.setattr(run, "manifest", read_late)
    chosen = run.latest_intact(tmp_path / "back")
    assert chosen is not None and chosen.step == 2


def test_a_report_is_complete_or_not_there(run: Run, tmp_path: Path) -> None:
    folder = state(tmp_path, 1)
    first = run.write_report(folder)
    run.store.write(run.key("report/000002/report.html"), b"half")
    report = run.report()
    assert report is not None and report.folder == first
    assert run.write_report(folder) == run.key("report/000003")


def test_two_writers_of_reports_take_two_numbers(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run.store, "folders", lambda prefix: [])  # as each saw it before it began
    same, other = state(tmp_path, 1), state(tmp_path, 2)
    written = [run.write_report(folder) for folder in (same, same, other)]
    assert written == [run.key(f"report/00000{number}") for number in (1, 2, 3)]


def test_the_same_recipe_on_the_same_data_has_the_same_fingerprint() -> None:
    assert fingerprint({"a": 1, "b": 2}, "data") == fingerprint({"b": 2, "a": 1}, "data")
    assert fingerprint({"a": 1}, "data") != fingerprint({"a": 2}, "data")
    assert fingerprint({"a": 1}, "data") != fingerprint({"a": 1}, "other")
    assert identity("my-run", "0123abcd") == "my-run-0123abcd"


@pytest.mark.parametrize("name", ["", "A", "-a", "a_b", "../a", "a/b", "a\n", "ä", "a" * 42])
def test_a_name_that_is_not_plain_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="name="):
        identity(name, "0123abcd")


def test_fresh_runs_are_numbered_from_two(run: Run) -> None:
    assert fresh(run.store, "runs", "a-00000000") == "a-00000000-2"
    Run(run.store, "runs/a-00000000-2").create({})
    assert fresh(run.store, "runs", "a-00000000") == "a-00000000-3"
