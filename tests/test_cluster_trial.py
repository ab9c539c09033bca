"""A trial is a message to a living worker: it forgets the one before and never raises."""

import logging
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from cifar_dist.checkpoint import WEIGHTS
from cifar_dist.cluster.channel import Channel
from cifar_dist.cluster.notice import NodeNotice
from cifar_dist.cluster.trainings import shortened
from cifar_dist.cluster.trial import Trial
from cifar_dist.counts import COUNTS, NAMES
from cifar_dist.errors import DataError, StoreError
from cifar_dist.runs import Sweep
from cifar_dist.store import open_store
from cifar_dist.store.folder import FolderStore
from tests.heads import Head, head
from tests.tiny import make_job

__all__ = ["head"]

pytestmark = pytest.mark.filterwarnings("default")


OVERRIDES = [{}, {"recipe.epochs": 1}, {"recipe.optimizer.lr": 1e4}]
WAITED = 1e5  # seconds


def config(number: int, waited: float = 0.0) -> dict[str, Any]:
    """Give what the sampler gives."""
    return {
        "number": number,
        "overrides": OVERRIDES[number],
        "asked_at": time.time() - waited,
    }


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trial]:
    monkeypatch.setattr(Channel, "stop_requested", lambda self: False)
    job = make_job(store=str(tmp_path))
    spec = {
        "job": job.model_dump(mode="json"),
        "sweep": "sweeps/tiny-00000000",
        "rungs": [1],
        "channel": "sweeps/tiny-00000000/0",
    }
    made = Trial.__new__(Trial)  # without what Tune sets up round it
    made.setup(config(0, WAITED), spec)
    yield made
    made.cleanup()


def test_a_trial_that_cannot_be_set_up_tells_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise OSError(5, "by AKIAIOSFODNN7EXAMPLE")

    monkeypatch.setattr("cifar_dist.cluster.trial.open_store", unreachable)
    spec = {"job": make_job(store=str(tmp_path)).model_dump(mode="json")}
    with pytest.raises(OSError, match=r"by \*\*\*") as caught:
        Trial.__new__(Trial).setup(config(0), spec)
    assert "AKIA" not in repr(caught.value)


def test_a_trial_tells_each_epoch_once_and_ends_with_the_last(trial: Trial) -> None:
    told = [trial.step() for _ in range(2)]
    assert [[record["epoch"] for record in result["records"]] for result in told] == [[1], [2]]
    assert [(result["state"], result["done"]) for result in told] == [
        ("running", False),
        ("finished", True),
    ]


def test_the_next_trial_finds_nothing_left_of_the_one_before(trial: Trial) -> None:
    trial.step()
    assert trial._session is not None
    before = weakref.ref(trial._session.learner)
    trial.reset_config(config(1))
    assert before() is None
    assert trial.step()["state"] == "finished"


def test_a_worker_begun_anew_tells_all_epochs_that_were_committed(trial: Trial) -> None:
    trial.step()
    trial.reset_config(config(0))
    told = [trial.step() for _ in range(2)]
    assert [[r["epoch"] for r in result["records"]] for result in told] == [[1], [2]]
    assert [result["epoch"] for result in told] == [1, 2], "what is at a rung is judged by it"
    trial.reset_config(config(0))
    again = trial.step()
    assert (again["state"], len(again["records"])) == ("finished", 2)


def anew(past: int | None = None) -> dict[str, Any]:
    """Give a trial that is trained anew at its rung."""
    return {**config(0), "restarts": [1]} | ({} if past is None else {"past": past})


def told(trial: Trial, steps: int) -> list[tuple[Any, ...]]:
    """Give what some steps say: training, epochs and state."""
    results = [trial.step() for _ in range(steps)]
    return [(r["training"], [e["epoch"] for e in r["records"]], r["state"]) for r in results]


def test_a_trial_that_is_trained_anew_ends_with_the_weights_of_its_whole_schedule(
    trial: Trial, tmp_path: Path
) -> None:
    def weights(number: int) -> dict[str, torch.Tensor]:
        trial.cleanup()
        best = Sweep(open_store(str(tmp_path)), "sweeps/tiny-00000000").trial(number).best()
        assert best is not None
        folder = tmp_path / f"best-{number}"
        best.download(open_store(str(tmp_path)), folder)
        return load_file(folder / WEIGHTS)

    trial.reset_config({**anew(), "number": 3})
    assert told(trial, 3) == [(1, [1], "running"), (2, [1], "running"), (2, [2], "finished")]
    anew_weights = weights(3)
    trial.reset_config({**config(0), "number": 4})
    assert told(trial, 2) == [(None, [1], "running"), (None, [2], "finished")]
    whole = weights(4)
    assert all(torch.equal(anew_weights[name], tensor) for name, tensor in whole.items())


def test_a_trial_that_lost_its_worker_goes_on_with_the_training_that_it_was_at(
    trial: Trial, tmp_path: Path
) -> None:
    trial.reset_config(anew())
    assert told(trial, 1) == [(1, [1], "running")]
    trial.reset_config(anew())
    assert told(trial, 2) == [(1, [1], "running"), (2, [1], "running")], "it stood at its rung"
    trial.cleanup()
    trial.reset_config(anew())
    assert told(trial, 1) == [(2, [1, 2], "finished")], "nothing is trained twice"
    run = Sweep(open_store(str(tmp_path)), "sweeps/tiny-00000000").trial(0)
    assert [attempt.resumed_step for attempt in run.attempts()] == [None, 18, None, 18]


def test_a_shorter_training_takes_its_share_of_the_warm_up() -> None:
    job = make_job(recipe__epochs=9, recipe__warmup_epochs=3.0)
    recipe = shortened(job, 3).recipe
    assert (recipe.epochs, recipe.warmup_epochs) == (3, 1.0)


def test_a_diverging_trial_says_so_with_the_worst_finite_score(trial: Trial) -> None:
    trial.reset_config(config(2))
    result = trial.step()
    assert (result["state"], result["done"], result["validation_accuracy"]) == ("failed", True, 0.0)
    assert result["reason"] == "diverged in epoch 1: its loss is not finite"
    assert result["records"] == []


def test_storage_that_is_away_is_no_fault_of_the_trial(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(job: Any) -> None:
        raise StoreError("the bucket is away")

    monkeypatch.setattr("cifar_dist.cluster.trial.recipe_data", refuse)
    result = trial.step()
    assert (result["state"], result["done"], result["reason"]) == (
        "interrupted",
        True,
        "the bucket is away",
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DataError("the images are gone; bring them back"), "the images are gone; bring them back"),
        (torch.OutOfMemoryError("out of memory"), "OutOfMemoryError: out of memory"),
        (KeyError("momentum"), "KeyError: 'momentum'"),
    ],
)
def test_a_trial_that_cannot_go_on_fails_and_its_worker_lives_on(
    error: Exception, reason: str, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(job: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("cifar_dist.cluster.trial.recipe_data", refuse)
        result = trial.step()
    assert (result["state"], result["reason"], result["records"]) == ("failed", reason, [])
    trial.reset_config(config(1))
    assert trial.step()["state"] == "finished"


def test_a_start_counts_from_when_the_slot_was_free(trial: Trial) -> None:
    assert trial.step()["start_seconds"] > WAITED, "this process started since"
    trial.reset_config(config(1, WAITED))
    assert trial.step()["start_seconds"] < WAITED


def test_a_trial_is_begun_in_four_requests_to_its_storage(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (0, 1):
        trial.reset_config(config(number))
        trial._opened()
    trial.reset_config({**config(0), "number": 4})
    asked: list[str] = []
    for name in ("claim", "read", "entries"):
        real = getattr(FolderStore, name)

        def noted(*given: Any, _name: str = name, _real: Any = real) -> Any:
            asked.append(_name)
            return _real(*given)

        monkeypatch.setattr(FolderStore, name, noted)
    trial._opened()
    assert asked == ["claim", "entries", "read", "claim"], "run, attempts so far, its own attempt"


def test_a_device_that_is_lost_takes_its_worker_with_it(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(job: Any) -> None:
        raise torch.AcceleratorError("device-side assert triggered")

    monkeypatch.setattr("cifar_dist.cluster.trial.recipe_data", refuse)
    with pytest.raises(torch.AcceleratorError):
        trial.step()


def test_a_stop_request_commits_what_there_is(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Channel, "stop_requested", lambda self: True)
    assert trial.step()["state"] == "interrupted"
    run = Sweep(open_store(str(tmp_path)), "sweeps/tiny-00000000").trial(0)
    assert run.checkpoints()[0].step == 1


def test_a_notice_that_its_machine_is_taken_away_commits_at_once(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NodeNotice, "seconds_left", lambda self: 120.0)
    assert trial.step()["state"] == "running"
    trial.cleanup()
    run = Sweep(open_store(str(tmp_path)), "sweeps/tiny-00000000").trial(0)
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [18, 1]


def test_what_a_trial_counted_is_told_after_each_epoch_beside_its_result(
    trial: Trial, head: Head
) -> None:
    before = COUNTS.own()["commit_bytes"]
    assert "counts" not in trial.step()
    ((_, numbers, last_commit, uploads, *_),) = trial._channel.told()
    assert numbers[NAMES.index("commit_bytes")] > before
    assert (uploads, last_commit) == (0, pytest.approx(time.time(), abs=600))


def test_a_trial_that_ends_tells_ray_the_rest(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[bool] = []
    monkeypatch.setattr(trial, "_flush", lambda: flushed.append(True))
    trial.cleanup()
    assert flushed == [True]


def test_a_trial_warns_in_its_own_name(trial: Trial, head: Head) -> None:
    logging.getLogger("cifar_dist.store").warning("slow")
    trial.reset_config(config(1))
    logging.getLogger("cifar_dist.store").warning("slower")
    (told,) = trial._channel.warnings().values()
    assert [warning["text"] for warning in told] == ["trial 0: slow", "trial 1: slower"]
