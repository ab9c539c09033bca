"""When a session commits: by the clock inside an epoch, and in a hurry before a machine goes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from cifar_dist import loop, session
from cifar_dist.config import Job, patched
from cifar_dist.data import Dataset
from cifar_dist.documents import EpochRecord
from cifar_dist.errors import StoreError
from cifar_dist.learner import Learner
from cifar_dist.runs import BackgroundCommitter, Run
from cifar_dist.session import Session, follow, train_session
from cifar_dist.store import Content, Store, open_store
from cifar_dist.world import World
from tests.tiny import FP32
from tests.watchers import Watcher

STEPS = 18  # of an epoch: 1,800 images in batches of 100


@dataclass
class Clock:
    """A clock that a test sets; a step of training takes a second of it."""

    now: float = 0.0

    def monotonic(self) -> float:
        """Give the seconds it shows."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    advance = Learner.advance

    def taking_a_second(*arguments: object) -> None:
        advance(*arguments)  # type: ignore[arg-type]
        clock.now += 1

    monkeypatch.setattr(loop, "_TICK_SECONDS", 0.0)
    monkeypatch.setattr(session, "time", clock)
    monkeypatch.setattr(Learner, "advance", taking_a_second)
    return clock


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the steps of what is handed over for a commit."""
    steps: list[int] = []
    submit = BackgroundCommitter.submit

    def noting(self: BackgroundCommitter, *arguments: object, **facts: object) -> None:
        steps.append(int(str(facts["step"])))
        submit(self, *arguments, **facts)  # type: ignore[arg-type]

    monkeypatch.setattr(BackgroundCommitter, "submit", noting)
    return steps


@pytest.fixture
def run(tiny_job: Job) -> Run:
    return Run(open_store(tiny_job.store), "runs/tiny-00000000")


def begun(job: Job, run: Run, data: Dataset, seconds: float | None = None) -> Session:
    learner = Learner(job.recipe, data.train, FP32)
    return Session(run, learner, data, checkpoint_seconds=seconds)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, [STEPS, 2 * STEPS]),
        (5, [5, 10, 15, STEPS, 23, 28, 33, 2 * STEPS]),
        (STEPS, [STEPS, 2 * STEPS]),
        (1, list(range(1, 2 * STEPS + 1))),
    ],
)
def test_a_commit_follows_so_many_seconds_after_the_last_one(
    seconds: int | None,
    expected: list[int],
    tiny_job: Job,
    run: Run,
    handed: list[int],
) -> None:
    job = patched(tiny_job, {"placement.checkpoint_seconds": seconds})
    train_session(job, run, World(), Watcher())
    assert handed == expected


def test_an_epochs_last_step_is_committed_with_its_record_and_its_pin(
    tiny_job: Job, run: Run, clock: Clock
) -> None:
    job = patched(tiny_job, {"placement.checkpoint_seconds": 1})
    result = train_session(job, run, World(), Watcher())
    best = run.best()
    assert best is not None
    assert (best.step, best.epoch) == (result.best_epoch * STEPS, result.best_epoch)
    assert run.checkpoints()[0].epoch == 2


def test_the_newest_and_two_older_checkpoints_stay(
    tiny_job: Job, run: Run, tiny_data: Dataset, clock: Clock
) -> None:
    opened = begun(tiny_job, run, tiny_data, seconds=2)
    for event in opened.events():
        opened.wait()
        if isinstance(event, loop.Tick) and event.step == 9:
            break
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [8, 6, 4]


class Noticed(Watcher):
    """Hears at a step that the machine goes in so many seconds of a test's clock."""

    def __init__(self, clock: Clock, step: int, seconds: float) -> None:
        super().__init__()
        self._clock, self._step, self._until = clock, step, step + seconds

    def seconds_left(self) -> float | None:
        """Count down from the notice."""
        return self._until - self._clock.now if self._clock.now >= self._step else None


@pytest.fixture
def opened(tiny_job: Job, run: Run, tiny_data: Dataset, clock: Clock) -> Session:
    """Open a session at the clock's zero."""
    return begun(tiny_job, run, tiny_data)


@pytest.mark.parametrize(
    ("notice", "expected"),
    [
        ((3, 16), [3, 7, 10, 12, 14, 15, 16, 17, STEPS]),
        ((STEPS, 8), [STEPS, 20, 22, 23, 24, 25]),
        ((7, 100_000), [7, STEPS, 2 * STEPS]),
    ],
)
def test_a_notice_commits_at_once_and_then_every_quarter_of_what_is_left(
    notice: tuple[int, int],
    expected: list[int],
    opened: Session,
    clock: Clock,
    handed: list[int],
) -> None:
    assert follow(opened, Noticed(clock, *notice)) == "finished"
    assert handed[: len(expected)] == expected


def test_the_same_state_is_not_committed_twice(
    tiny_job: Job, run: Run, tiny_data: Dataset, clock: Clock, handed: list[int]
) -> None:
    opened = begun(tiny_job, run, tiny_data, seconds=1)
    next(opened.events())
    opened.commit()
    opened.wait()
    again = begun(tiny_job, run, tiny_data)
    again.commit()
    assert handed == [1]


def test_what_storage_took_is_told(tiny_job: Job, run: Run) -> None:
    cost = train_session(tiny_job, run, World(), Watcher()).storage
    assert cost is not None
    files = [entry.bytes for entry in run.store.entries(run.key("attempts"))]
    assert cost.committed + cost.superseded == 2
    assert 0 < cost.sent_bytes < sum(files)
    assert 0 < cost.waited_seconds < 60


def test_a_stop_at_once_after_a_resume_can_be_resumed_again(tiny_job: Job, run: Run) -> None:
    whole = Run(run.store, "runs/whole-00000000")
    expected = train_session(tiny_job, whole, World(), Watcher())
    for _ in range(3):
        assert train_session(tiny_job, run, World(), Watcher(1)).state == "interrupted"
    assert train_session(tiny_job, run, World(), Watcher()).test == expected.test


class Failing(Watcher):
    """Raises once the first epoch is over."""

    def observe(self, step: int, total: int, history: Sequence[EpochRecord]) -> None:
        """Look for an epoch."""
        if history:
            raise RuntimeError("a peer was lost")


def test_a_checkpoint_on_its_way_is_stored_before_an_error_ends_the_run(
    tiny_job: Job, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = run.store.upload

    def slowly(key: str, path: Path) -> Content:
        time.sleep(0.2)
        return upload(key, path)

    monkeypatch.setattr(run.store, "upload", slowly)
    with pytest.raises(RuntimeError, match="a peer was lost"):
        train_session(tiny_job, run, World(), Failing())
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [STEPS]


class Gone:
    """Makes a store refuse everything that is written."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(store, "upload", self._refuse)

    def _refuse(self, key: str, path: Path) -> None:
        raise StoreError("the storage is gone")


def test_a_run_whose_storage_is_gone_ends_with_the_way_back(
    tiny_job: Job, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        Gone(run.store, patch)
        with pytest.raises(StoreError, match=r"kept in .*`cifar-dist resume tiny-00000000`"):
            train_session(tiny_job, run, World(), Watcher())
    assert train_session(tiny_job, run, World(), Watcher()).state == "finished"
