"""A session commits every epoch, ends when asked, and its successor continues to the same bits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cifar_dist import loop
from cifar_dist.checkpoint import WEIGHTS, load_weights
from cifar_dist.config import Job, patched
from cifar_dist.data import Dataset
from cifar_dist.device import device_for
from cifar_dist.documents import EpochRecord
from cifar_dist.errors import DeviceError, RefusedError
from cifar_dist.learner import Learner, build_model
from cifar_dist.loop import evaluate
from cifar_dist.runs import Manifest, Run
from cifar_dist.scoring import EVIDENCE, Scores, score
from cifar_dist.session import Result, Session, train_session
from cifar_dist.store import open_store
from cifar_dist.world import World
from tests.tiny import FP32, make_job
from tests.watchers import Watcher

STEPS = 18  # of an epoch: 1,800 images in batches of 100


@pytest.fixture(autouse=True)
def _a_tick_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_TICK_SECONDS", 0.0)


def run_of(job: Job, name: str = "runs/tiny-00000000") -> Run:
    return Run(open_store(job.store), name)


def train(job: Job, run: Run, stop_at: int | None = None) -> Result:
    return train_session(job, run, World(), Watcher(stop_at))


def weights(run: Run, manifest: Manifest | None, folder: Path) -> dict[str, Tensor]:
    assert manifest is not None
    run.download(manifest, folder)
    return load_file(folder / WEIGHTS)


def without_times(history: list[EpochRecord]) -> list[EpochRecord]:
    return [record.model_copy(update={"seconds": 0, "images_per_second": 0}) for record in history]


def make_the_first_epoch_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter(range(1, 99))

    def worse_and_worse(*arguments: object) -> loop.Outcome:
        return loop.Outcome([[1] * 10] * 10, 100.0 * next(losses))

    monkeypatch.setattr(loop, "evaluate", worse_and_worse)


@pytest.mark.parametrize("threads", [2, 3])
def test_a_test_begins_on_one_thread(threads: int) -> None:
    assert torch.get_num_threads() == 1
    torch.set_num_threads(threads)


def test_a_chief_that_is_overtaken_at_the_end_keeps_no_evidence(
    tiny_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, run = patched(tiny_job, {"recipe.epochs": 1}), run_of(tiny_job)

    def overtaken(*asked: Any) -> Scores:
        run.claim_attempt()
        return score(*asked)

    monkeypatch.setattr("cifar_dist.session.score", overtaken)
    with pytest.raises(RefusedError, match="superseded"):
        train(job, run)
    assert run.folder(EVIDENCE) is None


def test_every_epoch_leaves_a_checkpoint_and_the_best_is_pinned(tiny_job: Job) -> None:
    run = run_of(tiny_job)
    result = train(tiny_job, run)
    assert result.state == "finished"
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [2 * STEPS, STEPS]
    best = run.best()
    assert best is not None
    assert best.step == result.best_epoch * STEPS
    assert best.metrics["validation_loss"] == result.history[best.epoch - 1].validation_loss


def test_an_observer_sees_every_step_and_every_epoch(tiny_job: Job) -> None:
    watcher = Watcher()
    train_session(tiny_job, run_of(tiny_job), World(), watcher)
    ticks = [(step, 2 * STEPS, (step - 1) // STEPS) for step in range(1, 2 * STEPS + 1)]
    epochs = [(STEPS, 2 * STEPS, 1), (2 * STEPS, 2 * STEPS, 2)]
    assert watcher.seen == sorted(ticks + epochs)


def test_a_result_is_the_evaluation_of_the_best_epoch_not_of_the_last(
    tiny_job: Job, tiny_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_the_first_epoch_the_best(monkeypatch)
    run = run_of(tiny_job)
    result = train(tiny_job, run)
    model = build_model(tiny_job.recipe.model, 5)
    weights(run, run.checkpoints()[-1], tmp_path / "first")
    load_weights(model, tmp_path / "first" / WEIGHTS)
    assert result.best_epoch == 1
    assert result.test is not None
    expected = evaluate(model, tiny_data.test, World())
    assert result.test.confusion_matrix == expected.confusion
    assert result.test.score.loss == pytest.approx(expected.loss, rel=1e-6)


def test_without_validation_the_last_epoch_is_the_result(tiny_job: Job) -> None:
    job = patched(tiny_job, {"recipe.validation_fraction": 0})
    run = run_of(job)
    result = train(job, run)
    best = run.best()
    assert best is not None
    assert (result.best_epoch, best.epoch, result.validation) == (2, 2, None)
    assert result.test is not None


def test_a_run_killed_before_its_result_is_evaluated_again(tiny_job: Job) -> None:
    run = run_of(tiny_job)
    first, again = train(tiny_job, run), train(tiny_job, run)
    assert again.history == first.history
    assert (again.test, again.validation) == (first.test, first.validation)
    newest = run.folder(EVIDENCE)
    assert newest is not None
    assert newest.folder == run.key("evidence/000002")


@pytest.mark.parametrize("tick", [1, 5, STEPS, STEPS + 1])
def test_an_interrupted_run_continues_to_the_same_bits(
    tick: int, tiny_job: Job, tmp_path: Path
) -> None:
    whole, run = run_of(tiny_job, "runs/whole-00000000"), run_of(tiny_job)
    expected, stopped = train(tiny_job, whole), train(tiny_job, run, stop_at=tick)
    assert (stopped.state, stopped.test) == ("interrupted", None)
    assert run.checkpoints()[0].step == tick
    result = train(tiny_job, run)
    assert without_times(result.history) == without_times(expected.history)
    assert (result.test, result.validation) == (expected.test, expected.validation)
    mine = weights(run, run.checkpoints()[0], tmp_path / "mine")
    other = weights(whole, whole.checkpoints()[0], tmp_path / "other")
    assert all(torch.equal(mine[name], other[name]) for name in other)


def test_a_checkpoint_in_the_middle_of_an_epoch_is_never_the_best(
    tiny_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_the_first_epoch_the_best(monkeypatch)
    run = run_of(tiny_job)
    train(tiny_job, run, stop_at=STEPS + 5)
    best = run.best()
    assert best is not None
    assert (best.step, run.checkpoints()[0].step) == (STEPS, STEPS + 5)


def test_a_best_epoch_whose_pin_was_lost_to_a_kill_is_pinned_on_resume(
    tiny_job: Job, tiny_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tiny_job)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "pin", lambda *arguments: None)
        session = Session(run, Learner(tiny_job.recipe, tiny_data.train, FP32), tiny_data)
        next(event for event in session.events() if isinstance(event, EpochRecord))
        session.wait()
    assert run.best() is None
    Session(run, Learner(tiny_job.recipe, tiny_data.train, FP32), tiny_data)
    best = run.best()
    assert best is not None
    assert best.step == STEPS


def test_a_best_checkpoint_that_is_damaged_does_not_stop_a_resume(
    tiny_job: Job, tiny_data: Dataset
) -> None:
    run = run_of(tiny_job)
    expected = train(tiny_job, run)
    newest = run.checkpoints()[0]
    assert run.best() == newest
    Path(tiny_job.store, newest.key).write_bytes(b"{}")
    assert train(tiny_job, run).test == expected.test


def test_a_run_whose_last_epoch_is_committed_is_only_evaluated(tiny_job: Job) -> None:
    run, watcher = run_of(tiny_job), Watcher()
    first = train(tiny_job, run)
    again = train_session(tiny_job, run, World(), watcher)
    assert again.model_copy(update={"storage": first.storage}) == first
    assert watcher.seen == []


def test_a_diverged_run_fails_and_keeps_its_good_epochs(tiny_job: Job) -> None:
    options = {"name": "sgd", "lr": 10_000}
    job = patched(tiny_job, {"recipe.optimizer": options, "recipe.epochs": 30})
    result = train(job, run_of(job))
    assert (result.state, result.test) == ("failed", None)
    assert result.history[-1].train_loss is None
    assert len(run_of(job).checkpoints()) <= len(result.history) - 1


def test_the_verdict_on_arithmetic_is_found_once_and_kept(
    tiny_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = patched(tiny_job, {"recipe.precision": "auto", "recipe.epochs": 1})
    run = run_of(job)
    verdict = train(job, run).verdict
    monkeypatch.setattr("cifar_dist.probe.probe", None)
    assert train(job, run).verdict == verdict == run.recorded("precision.json")


def test_gpus_that_cannot_be_used_are_refused_and_never_replaced() -> None:
    if torch.cuda.is_available():
        pytest.skip("GPUs can be used here")
    with pytest.raises(DeviceError, match=r"gpus_per_worker=1 but no GPU .*set it to 0"):
        device_for(make_job(placement__gpus_per_worker=1).placement)
    assert device_for(make_job(placement__gpus_per_worker=None).placement).type == "cpu"
