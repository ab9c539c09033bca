"""Training over Ray's workers: the same numbers, one writer, and an end for every failure."""

import logging
import os
import signal
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from cifar_dist.cluster import driver
from cifar_dist.cluster import train as training
from cifar_dist.cluster.connection import connected
from cifar_dist.cluster.train import train
from cifar_dist.config import Job
from cifar_dist.documents import EpochRecord
from cifar_dist.errors import ConfigError, RunError, StoreError
from cifar_dist.learner import Learner
from cifar_dist.runs import Run
from cifar_dist.session import Result, train_here
from cifar_dist.store import open_store
from tests.clusters import eventually, held, interrupted, marked
from tests.commands import document, finished, started
from tests.tiny import make_job

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("ray_address"),
    pytest.mark.filterwarnings("default"),  # Ray's own are its makers' business
]

EPOCHS = 3
LOST_AT = 25  # a step of the second epoch, of 18 each
Work = Callable[[dict[str, Any]], dict[str, Any]]


class _Progress:
    """Keeps what it saw."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def stop_requested(self) -> bool:
        return False

    def seconds_left(self) -> None:
        return None

    def observe(self, step: int, total: int, history: Sequence[EpochRecord]) -> None:
        self.steps.append(step)


def job_of(folder: Path, workers: int, **overrides: Any) -> Job:
    return make_job(
        store=str(folder),
        placement__workers=workers,
        recipe__epochs=EPOCHS,
        recipe__model={"name": "lenet5", "dropout": 0.0},
        **overrides,
    )


def run_of(job: Job) -> Run:
    run = Run(open_store(job.store), "runs/tiny-00000000")
    if not run.exists:
        run.create({"schema": "cifar-dist/run/1"})
    return run


def attempts(run: Run) -> int:
    keys = [entry.key for entry in run.store.entries(run.key("attempts"))]
    return len([key for key in keys if key.count("/") == 3 and key.endswith(".json")])


def losing(marker: Path, real: Work = training._work) -> Work:
    """Kill the worker of rank 1, once as long as `marker` can be made."""

    def work(config: dict[str, Any]) -> dict[str, Any]:
        advance = Learner.advance

        def advance_or_die(self: Learner, batch: Any) -> None:
            advance(self, batch)
            if self.world.rank == 1 and self.step == LOST_AT and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        Learner.advance = advance_or_die  # type: ignore[method-assign]
        return real(config)

    return work


def noticed(real: Work = training._work) -> Work:
    """Train with a warning, on a machine that is taken away."""

    def work(config: dict[str, Any]) -> dict[str, Any]:
        observe = training._Reporter.observe

        def observe_and_warn(self: Any, step: int, *told: Any) -> None:
            observe(self, step, *told)
            if step == 1:
                logging.getLogger("cifar_dist.store").warning("storage is slow")

        training._Reporter.observe = observe_and_warn  # type: ignore[method-assign]
        training.group_seconds_left = lambda: 120.0
        return real(config)

    return work


def refusing(calls: Path) -> Work:
    def work(config: dict[str, Any]) -> dict[str, Any]:
        with calls.open("a") as file:
            file.write(".")
        raise StoreError("the bucket is gone; create it again")

    return work


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Result:
    job = job_of(tmp_path_factory.mktemp("alone"), 0)
    return train_here(job, run_of(job), _Progress())


def assert_alike(result: Result, expected: Result) -> None:
    assert result.state == "finished"
    for mine, theirs in zip(result.history, expected.history, strict=True):
        assert mine.train_loss == pytest.approx(theirs.train_loss, rel=1e-3)
        assert mine.validation_loss == pytest.approx(theirs.validation_loss, rel=1e-3)


def test_three_workers_agree_with_none_though_one_of_them_is_killed(
    tmp_path: Path, alone: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[str] = []

    def spy(fit: Callable[[], Any], *more: Any) -> Any:
        fitted = driver.followed(fit, *more)
        stored.extend(path.name for path in Path(fitted.path).rglob("*") if path.is_file())
        return fitted

    job = job_of(tmp_path / "store", 3)
    run = run_of(job)
    monkeypatch.setattr(training, "_work", losing(tmp_path / "killed"))
    monkeypatch.setattr(training, "followed", spy)
    result = train(job, run, _Progress(), Event())
    assert_alike(result, alone)
    assert (result.workers, (tmp_path / "killed").exists(), attempts(run)) == (3, True, 2)
    assert run.checkpoints()[0].step == EPOCHS * 18
    assert not [name for name in stored if name.endswith((".safetensors", ".pt"))]


def test_a_worker_lost_more_often_than_allowed_fails_the_run_and_one_alone_can_go_on(
    tmp_path: Path, alone: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(tmp_path / "store", 2, placement__max_failures=0)
    with monkeypatch.context() as patch:
        patch.setattr(training, "_work", losing(tmp_path / "killed"))
        with pytest.raises(RunError, match="no retry is left") as caught:
            train(job, run_of(job), _Progress(), Event())
    assert "\n" not in str(caught.value)
    assert run_of(job).checkpoints()[0].epoch == 1
    progress = _Progress()
    assert_alike(train(job_of(tmp_path / "store", 1), run_of(job), progress, Event()), alone)
    assert progress.steps[0] >= EPOCHS * 18 / 3, "it went on from the first epoch"


def test_a_deliberate_error_of_a_worker_comes_back_as_itself_and_is_not_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(tmp_path / "store", 1)
    monkeypatch.setattr(training, "_work", refusing(tmp_path / "calls"))
    with pytest.raises(StoreError, match=r"^the bucket is gone; create it again$"):
        train(job, run_of(job), _Progress(), Event())
    assert (tmp_path / "calls").read_text() == "."


def test_a_worker_warns_here_and_commits_when_its_machine_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job = job_of(tmp_path / "store", 1, placement__checkpoint_seconds=None)
    run = run_of(job)
    monkeypatch.setattr(training, "_work", noticed())
    result = train(job, run, _Progress(), Event())
    assert result.storage is not None
    assert result.storage.committed + result.storage.superseded > EPOCHS
    told = [record.getMessage() for record in caplog.records if "storage" in record.getMessage()]
    assert told == ["worker 0: storage is slow"]


def test_ctrl_c_ends_a_local_ray_and_what_was_committed_is_resumed_on_another(
    tmp_path: Path,
) -> None:
    store, mark = tmp_path / "store", uuid.uuid4().hex
    (tmp_path / "home").mkdir()
    options = "--workers 2 --epochs 12 --data synthetic --model lenet5 --name ctrl"
    code, shown = interrupted(
        ["train", *options.split(), "--store", str(store), "--set", "recipe.precision=fp32"],
        lambda: any(store.rglob("MANIFEST.json")),
        RAY_ADDRESS="",
        HOME=str(tmp_path / "home"),
        CIFAR_DIST_TEST_MARK=mark,
    )
    assert code == 130, shown
    assert eventually(lambda: not marked(mark)), marked(mark)
    assert not (tmp_path / "home" / ".ray").exists()
    (name,) = [path.name for path in (store / "runs").iterdir()]
    assert f"cifar-dist resume {name}" in shown
    resumed = finished(started("resume", name, "--store", str(store), "--json", cwd=tmp_path))
    result = document("train", resumed.out)
    assert (result["state"], len(result["history"])) == ("finished", 12)
    assert result["provenance"]["workers"] == 2


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("127.0.0.1:9", RunError("nobody answers at RAY_ADDRESS=127.0.0.1:9")),
        ("ray://127.0.0.1:10001", ConfigError("Ray Client")),
    ],
)
def test_a_cluster_that_cannot_be_asked_is_one_sentence(
    address: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(type(error), match=str(error)) as caught, connected():
        pass
    assert "\n" not in str(caught.value)


def test_a_cluster_that_lets_nobody_in_is_one_sentence(tmp_path: Path) -> None:
    options = "--workers 1 --data synthetic --model lenet5 --store"
    command = ["train", *options.split(), str(tmp_path)]
    ended = finished(started(*command, cwd=tmp_path, RAY_AUTH_TOKEN="0" * 32))
    assert ended.code == 3
    *before, sentence = ended.err.splitlines()
    assert sentence.startswith("cifar-dist: ")
    assert "RAY_AUTH_TOKEN" in sentence
    assert not [line for line in before if "Traceback" in line]


def test_training_leaves_nothing_on_the_cluster() -> None:
    assert eventually(lambda: held() == ["0 CPUs"]), held()
