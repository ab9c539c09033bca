"""Commits in the background: what waits is bounded, what fails is told, nothing else is lost."""

import errno
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from cifar_dist.errors import RefusedError, StoreError
from cifar_dist.runs import Attempt, BackgroundCommitter, Manifest, Run


@pytest.fixture(autouse=True)
def staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder that checkpoints wait in for their upload."""
    folder = tmp_path / "staged"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


class Saved:
    """A snapshot of nearly nothing."""

    def __init__(self, step: int) -> None:
        self._text = f"state {step}"

    def write(self, folder: Path) -> None:
        """Write its one file."""
        (folder / "state.pt").write_text(self._text)


class Unwritable:
    """A snapshot for which the disk has no room."""

    def write(self, folder: Path) -> None:
        """Write half of it."""
        (folder / "state.pt").write_text("half")
        raise StoreError("no room")


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


def submit(committer: BackgroundCommitter, step: int, best: bool = False) -> None:
    committer.submit(Saved(step), step=step, epoch=step, metrics={}, best=best)


def fail(error: Exception, attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    def raised(*_: object, **__: object) -> Manifest:
        raise error

    monkeypatch.setattr(attempt, "commit", raised)


@pytest.mark.parametrize(
    ("best", "committed"),
    [((), [1, 5]), ((2,), [1, 2, 5]), ((2, 4), [1, 4, 5]), ((1, 5), [1, 5]), ((3, 4, 5), [1, 5])],
)
def test_of_those_waiting_the_newest_and_the_newest_best_are_committed(
    run: Run,
    staged: Path,
    monkeypatch: pytest.MonkeyPatch,
    best: tuple[int],
    committed: list[int],
) -> None:
    attempt = run.claim_attempt()
    gate, committer = Gate(attempt, monkeypatch), BackgroundCommitter(run, attempt)
    for step in range(1, 6):
        submit(committer, step, step in best)
        if step == 1:
            gate.entered.acquire()  # from here on it is uploading
    gate.open.release(5)
    last = committer.wait()
    assert gate.steps == committed and last is not None and last.step == 5
    assert (committer.committed, committer.superseded) == (len(committed), 5 - len(committed))
    assert committer.sent_bytes == len(committed) * len("state 1")
    assert not any(staged.iterdir())
    pinned = run.best()
    assert (pinned.step if pinned else None) == (max(best) if best else None)


def test_a_failed_upload_is_raised_by_the_next_calls_which_name_what_is_left(
    run: Run, staged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = run.claim_attempt()
    fail(StoreError("the storage is gone"), attempt, monkeypatch)
    committer = BackgroundCommitter(run, attempt)
    submit(committer, 1)
    told = r"is gone; step 1 .* is kept in (\S+) on .*; .*`cifar-dist resume a-00000000` goes on"
    with pytest.raises(StoreError, match=told) as caught:
        committer.wait()
    with pytest.raises(StoreError, match=told):
        submit(committer, 2)
    kept = re.search(told, str(caught.value))
    assert kept is not None
    assert list(staged.iterdir()) == [Path(kept[1])]
    assert (Path(kept[1]) / "state.pt").read_text() == "state 1"


def test_a_writer_that_was_superseded_leaves_nothing_behind(
    run: Run, staged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = run.claim_attempt()
    fail(RefusedError("superseded"), attempt, monkeypatch)
    committer = BackgroundCommitter(run, attempt)
    submit(committer, 1)
    with pytest.raises(RefusedError, match="superseded"):
        committer.wait()
    assert not any(staged.iterdir())


def test_a_full_disk_leaves_no_part_and_the_checkpoint_before(run: Run, staged: Path) -> None:
    committer = BackgroundCommitter(run, run.claim_attempt())
    submit(committer, 1)
    before = committer.wait()
    committer.submit(Unwritable(), step=2, epoch=2, metrics={})
    with pytest.raises(StoreError, match="no room"):
        committer.wait()
    assert run.checkpoints() == [before]
    assert not any(staged.iterdir())


def test_a_lack_of_any_place_for_temporary_files_is_one_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(prefix: str) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    committer = BackgroundCommitter(run, run.claim_attempt())
    submit(committer, 1)
    with pytest.raises(StoreError, match=r"\(TMPDIR\): No space left on device"):
        committer.wait()


def test_a_store_that_forbids_deleting_does_not_stop_training(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(keys: object) -> None:
        raise StoreError("no right to delete")

    monkeypatch.setattr(run.store, "delete", refuse)
    committer = BackgroundCommitter(run, run.claim_attempt(), keep=1)
    for step in (1, 2):
        submit(committer, step)
        committer.wait()
    assert len(run.checkpoints()) == 2
    assert "no right to delete" in caplog.text


_HANG_AND_END = """
import sys, time
from cifar_dist.runs import BackgroundCommitter, Run
from cifar_dist.store import open_store

class Hanging:
    def write(self, folder):
        print("begun", flush=True)
        time.sleep(3600)

run = Run(open_store(sys.argv[1]), "runs/a-00000000")
committer = BackgroundCommitter(run, run.claim_attempt())
committer.submit(Hanging(), step=1, epoch=1, metrics={})
raise KeyboardInterrupt
"""


def test_a_process_that_ends_does_not_wait_for_an_upload(place: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _HANG_AND_END, str(place)],
        capture_output=True,
        check=False,
        timeout=600,
    )
    assert b"KeyboardInterrupt" in ended.stderr
