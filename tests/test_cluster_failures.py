"""What Ray raises becomes the error it stands for, in one sentence."""

import pytest
import torch

from cifar_dist.cluster.driver import followed
from cifar_dist.cluster.failures import brief, explained, reason
from cifar_dist.cluster.train import _NoRetry
from cifar_dist.errors import RefusedError, RunError

from ray.exceptions import RaySystemError, RayTaskError  # isort: skip - after what prepares it
from ray.train import ControllerError, WorkerGroupError  # isort: skip

pytestmark = pytest.mark.filterwarnings("default")
FENCED = RefusedError("another process continues this run; stop this one")


@pytest.mark.parametrize(
    "error",
    [
        FENCED,
        ControllerError(FENCED),
        WorkerGroupError("two ranks", {0: ConnectionError("peer closed"), 1: FENCED}),
        RayTaskError("step", "Traceback…", FENCED),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_deliberate_error_is_found_wherever_ray_hides_it(error: Exception) -> None:
    assert explained(error) is FENCED


@pytest.mark.parametrize(
    "error",
    [
        ControllerError(ValueError("much\ncame before\nthis")),
        WorkerGroupError("one rank", {1: ValueError("before\nthis")}),
        RaySystemError("this"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_any_other_failure_is_one_sentence_naming_its_innermost_cause(error: Exception) -> None:
    found = explained(error)
    assert isinstance(found, RunError)
    assert "this); what is committed can be resumed" in str(found)
    assert "\n" not in str(found)


@pytest.mark.parametrize("error", [FENCED, KeyError("number"), torch.OutOfMemoryError("9 GiB")])
def test_what_a_restart_would_only_meet_again_ends_a_run_at_once(error: Exception) -> None:
    with pytest.raises(type(error)):
        _NoRetry().after_exception(None, {0: RuntimeError("peer closed"), 1: error})


@pytest.mark.parametrize("error", [RuntimeError("peer closed"), RaySystemError("died")])
def test_a_lost_worker_and_what_its_peers_make_of_it_are_retried(error: Exception) -> None:
    _NoRetry().after_exception(None, {0: error})


def test_the_reason_of_a_failure_is_one_line() -> None:
    assert reason(WorkerGroupError("two ranks", {1: FENCED})) == str(FENCED)
    assert reason(KeyError("number")) == "KeyError: 'number'"


def test_a_bug_of_ours_stays_what_it_is() -> None:
    bug = KeyError("number")
    assert explained(bug) is bug
    assert brief(bug) == "KeyError: 'number'"


def test_work_is_polled_until_it_ends_and_once_after() -> None:
    polls: list[int] = []
    assert followed(lambda: len(polls), lambda: polls.append(1)) in {0, len(polls) - 1}
    with pytest.raises(RunError, match="gone"):
        followed(lambda: polls[0] / 0, _lose_the_cluster)


def _lose_the_cluster() -> None:
    raise RaySystemError("gone")
