"""Runs: no acknowledged checkpoint is lost, no torn one is chosen, one writer at a time."""

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cifar_dist.errors import ConfigError, DamagedError, RefusedError, StoreError
from cifar_dist.runs import (
    Attempt,
    BackgroundCommitter,
    Manifest,
    Run,
    fingerprint,
    fresh,
    identity,
)
from cifar_dist.runs.seal import sealed, unsealed
from cifar_dist.store import Store, open_store


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def run(place: Path) -> Run:
    return Run(open_store(str(place)), "runs/a-00000000")


def state(tmp_path: Path, step: int) -> Path:
    """Make a folder such as a learner saves."""
    folder = tmp_path / f"saved-{step}-{threading.get_ident()}"
    folder.mkdir()
    (folder / "state.pt").write_bytes(f"state {step}".encode() * 100)
    (folder / "history.json").write_bytes(b"[]")
    return folder


def commit(attempt: Attempt, tmp_path: Path, step: int) -> Manifest:
    metrics = {"validation_loss": 1 / step}
    return attempt.commit(state(tmp_path, step), step=step, epoch=step, metrics=metrics)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGE = [flip, truncate, empty, Path.unlink]


def test_a_checkpoint_comes_back_with_its_facts(store: Store, tmp_path: Path) -> None:
    run = Run(store, "runs/a-00000000")
    sent = commit(run.claim_attempt(world_size=2), tmp_path, 7)
    assert run.latest_intact(tmp_path / "back") == sent
    assert (tmp_path / "back" / "state.pt").read_bytes() == b"state 7" * 100
    assert (sent.step, sent.world_size, sent.metrics) == (7, 2, {"validation_loss": 1 / 7})
    assert sent.key == "runs/a-00000000/attempts/000001/step-000000000007/MANIFEST.json"


def test_before_the_first_commit_there_is_nothing_to_resume(run: Run, tmp_path: Path) -> None:
    run.claim_attempt()
    assert run.latest_intact(tmp_path / "back") is None
    assert run.best() is None


@pytest.mark.parametrize("name", ["state.pt", "history.json", "MANIFEST.json"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_skipped_for_the_one_before(
    run: Run, place: Path, tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    attempt = run.claim_attempt()
    older, newer = commit(attempt, tmp_path, 1), commit(attempt, tmp_path, 2)
    damage(place / newer.folder / name)
    assert run.latest_intact(tmp_path / "back") == older
    assert (tmp_path / "back" / "state.pt").read_bytes() == b"state 1" * 100


def test_a_skipped_checkpoint_is_logged_with_its_reason(
    run: Run, place: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    attempt = run.claim_attempt()
    commit(attempt, tmp_path, 1)
    newer = commit(attempt, tmp_path, 2)
    flip(place / newer.folder / "state.pt")
    with caplog.at_level(logging.WARNING):
        run.latest_intact(tmp_path / "back")
    assert f"skipped checkpoint key={newer.key}" in caplog.text
    assert "is damaged" in caplog.text


def test_when_all_are_damaged_the_run_does_not_start_anew(
    run: Run, place: Path, tmp_path: Path
) -> None:
    attempt = run.claim_attempt()
    for step in (1, 2):
        truncate(place / commit(attempt, tmp_path, step).folder / "state.pt")
    with pytest.raises(DamagedError, match=r"none of the 2 checkpoints .* --fresh"):
        run.latest_intact(tmp_path / "back")


def test_a_manifest_never_leads_out_of_its_folder(run: Run, tmp_path: Path) -> None:
    sent = commit(run.claim_attempt(), tmp_path, 1)
    document = {**vars(sent), "schema": "cifar-dist/manifest/1"}
    document["folder"] = sent.folder.replace("01/", "02/")
    document["files"] = {"../../escape": sent.files["state.pt"]._asdict()}
    key = f"{document['folder']}/MANIFEST.json"
    run.store.write(key, sealed(document))
    with pytest.raises(DamagedError):
        run.manifest(key)


def test_files_without_a_manifest_are_no_checkpoint(run: Run, tmp_path: Path) -> None:
    older = commit(run.claim_attempt(), tmp_path, 1)
    run.store.write("runs/a-00000000/attempts/000001/step-000000000002/state.pt", b"half")
    assert run.checkpoints() == [older]
    assert run.claim_attempt().number == 2
    assert run.latest_intact(tmp_path / "back") == older


_COMMIT_AND_DIE = """
import os, pathlib, signal, sys
from cifar_dist.runs.attempts import Attempt
from cifar_dist.store import open_store

sync, left = os.fsync, [None] * int(sys.argv[3])

def fsync(descriptor):
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    left.pop()
    sync(descriptor)

os.fsync = fsync
attempt = Attempt(open_store(sys.argv[1]), "runs/a-00000000", 1)
attempt.commit(pathlib.Path(sys.argv[2]), step=2, epoch=2, metrics={})
"""


@pytest.mark.parametrize("writes", range(7))
def test_a_kill_at_any_write_of_a_commit_leaves_an_intact_checkpoint(
    run: Run, place: Path, tmp_path: Path, writes: int
) -> None:
    commit(run.claim_attempt(), tmp_path, 1)
    arguments = [str(place), str(state(tmp_path, 2)), str(writes)]
    done = subprocess.run([sys.executable, "-c", _COMMIT_AND_DIE, *arguments], check=False)
    assert done.returncode == (0 if writes == 6 else -signal.SIGKILL)
    chosen = run.latest_intact(tmp_path / "back")
    # Two files and the manifest, each synchronized with its folder: the fifth write commits.
    assert chosen is not None and chosen.step == (1 if writes < 5 else 2)
    assert (tmp_path / "back" / "state.pt").read_bytes() == f"state {chosen.step}".encode() * 100


def test_a_newer_attempt_fences_the_older(run: Run, tmp_path: Path) -> None:
    older = run.claim_attempt()
    commit(older, tmp_path, 1)
    newer = run.claim_attempt()
    with pytest.raises(RefusedError, match="superseded"):
        commit(older, tmp_path, 2)
    assert commit(newer, tmp_path, 3) == run.checkpoints()[0]


def test_what_a_fenced_attempt_still_commits_is_never_chosen(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zombie = run.claim_attempt()
    base = commit(zombie, tmp_path, 1)
    run.claim_attempt()
    monkeypatch.setattr(zombie, "check_fence", lambda: None)  # the claim came just after the check
    commit(zombie, tmp_path, 2)
    assert run.checkpoints() == [base]


def test_a_chain_of_attempts_is_resumed_from_its_newest(run: Run, tmp_path: Path) -> None:
    sent = [commit(run.claim_attempt(), tmp_path, step) for step in (1, 2, 3)]
    run.claim_attempt()
    assert run.checkpoints() == sent[::-1]


def test_every_attempt_has_one_owner(store: Store) -> None:
    run, numbers = Run(store, "runs/a-00000000"), []
    threads = [
        threading.Thread(target=lambda: numbers.append(run.claim_attempt().number))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == [1, 2, 3, 4]


def test_committing_a_step_twice_gives_the_same_checkpoint(run: Run, tmp_path: Path) -> None:
    attempt = run.claim_attempt()
    folder = state(tmp_path, 1)
    first = attempt.commit(folder, step=1, epoch=1, metrics={})
    assert attempt.commit(folder, step=1, epoch=1, metrics={}) is first


def test_a_metric_that_is_not_finite_is_kept_as_null(run: Run, tmp_path: Path) -> None:
    attempt = run.claim_attempt()
    sent = attempt.commit(state(tmp_path, 1), step=1, epoch=1, metrics={"loss": float("nan")})
    assert run.manifest(sent.key).metrics == {"loss": None}


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


class Gate:
    """Lets commits of an attempt through one by one."""

    def __init__(self, attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered, self.open, self.steps = threading.Semaphore(0), threading.Semaphore(0), []
        self._commit = attempt.commit
        monkeypatch.setattr(attempt, "commit", self._wait_and_commit)

    def _wait_and_commit(
        self, folder: Path, *, step: int, epoch: int, metrics: dict[str, float]
    ) -> Manifest:
        self.entered.release()
        self.open.acquire()
        self.steps.append(step)
        return self._commit(folder, step=step, epoch=epoch, metrics=metrics)


def submit(committer: BackgroundCommitter, folder: Path, step: int, best: bool = False) -> None:
    committer.submit(folder, step=step, epoch=step, metrics={}, best=best)


@pytest.mark.parametrize(
    ("best", "committed"),
    [((), [1, 5]), ((2,), [1, 2, 5]), ((2, 4), [1, 4, 5]), ((1, 5), [1, 5]), ((3, 4, 5), [1, 5])],
)
def test_of_those_waiting_the_newest_and_the_newest_best_are_committed(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    best: tuple[int],
    committed: list[int],
) -> None:
    attempt = run.claim_attempt()
    gate, committer = Gate(attempt, monkeypatch), BackgroundCommitter(run, attempt)
    folders = [state(tmp_path, step) for step in range(1, 6)]
    for step, folder in enumerate(folders, 1):
        submit(committer, folder, step, step in best)
        if step == 1:
            gate.entered.acquire()  # from here on it is uploading
    gate.open.release(5)
    last = committer.wait()
    assert gate.steps == committed and last is not None and last.step == 5
    assert not any(folder.exists() for folder in folders)
    pinned = run.best()
    assert (pinned.step if pinned else None) == (max(best) if best else None)


def test_a_failed_upload_is_raised_by_the_next_call_and_keeps_its_folder(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Manifest:
        raise StoreError("the storage is gone")

    attempt = run.claim_attempt()
    monkeypatch.setattr(attempt, "commit", fail)
    committer, folder = BackgroundCommitter(run, attempt), state(tmp_path, 1)
    submit(committer, folder, 1)
    with pytest.raises(StoreError, match="gone"):
        committer.wait()
    with pytest.raises(StoreError, match="gone"):
        submit(committer, folder, 2)
    assert folder.exists()


def test_a_store_that_forbids_deleting_does_not_stop_training(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(keys: object) -> None:
        raise StoreError("no right to delete")

    monkeypatch.setattr(run.store, "delete", refuse)
    committer = BackgroundCommitter(run, run.claim_attempt(), keep=1)
    for step in (1, 2):
        submit(committer, state(tmp_path, step), step)
        committer.wait()
    assert len(run.checkpoints()) == 2
    assert "no right to delete" in caplog.text


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
