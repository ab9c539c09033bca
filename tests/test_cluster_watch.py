"""The driver ends well when the cluster's head is lost, and says what it waits for."""

import logging
from typing import Any

import pytest

from cifar_dist.cluster import watch as watches
from cifar_dist.cluster.channel import Channel
from cifar_dist.cluster.driver import followed
from cifar_dist.cluster.watch import Watch
from cifar_dist.config import Placement
from cifar_dist.errors import PreemptedError, RunError

from ray.exceptions import RaySystemError  # isort: skip - after what prepares it

pytestmark = pytest.mark.filterwarnings("default")


class Clock:
    """A time and the machines that are there then."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.machines: tuple[tuple[float, float], ...] = ((1.0, 0.0), (1.0, 0.0))
        self.silent_since: float | None = None
        patch.setattr(watches.time, "monotonic", lambda: self.now)
        patch.setattr(watches, "machines", lambda: self.machines)
        patch.setattr(Channel, "warnings", lambda channel: {})
        patch.setattr(Channel, "silent_seconds", property(lambda channel: self._silent()))
        patch.setattr(watches, "address", lambda: "10.0.0.1:6379")

    def _silent(self) -> float:
        return 0.0 if self.silent_since is None else self.now - self.silent_since

    def look(self, watch: Watch, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.now += 1.0
            watch.look()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def watching(**placement: Any) -> Watch:
    settled = {"workers": 2, "cpus_per_worker": 1, "gpus_per_worker": 0, **placement}
    return Watch(Channel("runs/tiny-00000000/1"), Placement.model_validate(settled))


def waits(log: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in log.records if r.levelno == logging.WARNING]


def test_a_lost_head_ends_the_work_in_one_sentence_before_ray_kills_the_process(
    clock: Clock,
) -> None:
    watch = watching()
    clock.silent_since = clock.now
    clock.look(watch, 39)
    with pytest.raises(PreemptedError, match="`cifar-dist resume tiny-00000000`") as caught:
        clock.look(watch, 3)
    assert "\n" not in str(caught.value)
    assert "10.0.0.1:6379 has not answered for 41 s" in str(caught.value)


def test_a_head_that_may_take_longer_to_come_back_is_given_that_time(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "600")
    watch = watching()
    clock.silent_since = clock.now
    clock.look(watch, 570)
    clock.silent_since = None
    clock.look(watch, 60)


def test_what_ray_raises_while_its_head_is_away_is_the_loss_of_the_head(clock: Clock) -> None:
    def fit() -> None:
        clock.silent_since = clock.now - 1.0
        raise RaySystemError("gone")

    with pytest.raises(PreemptedError, match="what is committed is kept"):
        followed(fit, lambda: None, watching())


def test_what_ray_raises_while_its_head_is_there_is_a_failure(clock: Clock) -> None:
    def fit() -> None:
        raise RaySystemError("gone")

    with pytest.raises(RunError, match="gone"):
        followed(fit, lambda: None, watching())


def test_a_driver_without_room_for_its_workers_says_once_what_it_waits_for(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    watch = watching()
    clock.look(watch, 30)
    assert not waits(caplog)
    clock.machines = ((1.0, 0.0),)
    clock.look(watch, 9)
    assert not waits(caplog), "perhaps another machine comes at once"
    clock.look(watch, 60)
    assert waits(caplog) == [
        "waiting for machines: the cluster has room for 1 of 2 workers of 1 CPUs"
    ]


def test_a_shortage_that_comes_again_is_told_again(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    watch, gpus = watching(gpus_per_worker=1), ((8.0, 1.0), (8.0, 1.0))
    for machines in (gpus, gpus[:1], gpus, gpus[:1]):
        clock.machines = machines
        clock.look(watch, 15)
    assert (
        waits(caplog)
        == ["waiting for machines: the cluster has room for 1 of 2 workers of 1 CPUs and 1 GPUs"]
        * 2
    )


def test_without_an_answer_there_is_no_shortage(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    watch = watching()
    clock.machines = ()
    clock.look(watch, 30)
    assert not waits(caplog)
