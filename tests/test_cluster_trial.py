"""A trial is a message to a living worker: it forgets the one before and never raises."""

import logging
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cifar_dist.cluster.channel import Channel
from cifar_dist.cluster.notice import NodeNotice
from cifar_dist.cluster.trial import Trial
from cifar_dist.counts import COUNTS, NAMES
from cifar_dist.errors import DataError, StoreError
from cifar_dist.runs import Sweep
from cifar_dist.store import open_store
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
