"""Checkpoints: no acknowledged one is lost, no torn one is chosen, one writer at a time."""

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cifar_dist.errors import DamagedError, RefusedError
from cifar_dist.runs import (
    Run,
)
from cifar_dist.runs.seal import sealed
from cifar_dist.store import Store
from tests.checkpoints import DAMAGE, commit, flip, state, truncate


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
