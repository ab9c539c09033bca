"""While the cluster's head is away nothing fails and nothing waits long for it."""

import pytest

from cifar_dist.cluster.channel import Channel
from tests.heads import Head, head

__all__ = ["head"]

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [100.0]
    monkeypatch.setattr("cifar_dist.cluster.channel.time.monotonic", lambda: time[0])
    return time


def test_what_is_left_in_a_channel_is_found_by_its_name(head: Head) -> None:
    here, there = Channel("runs/a/1"), Channel("runs/a/1")
    assert here.publish({"step": 3})
    assert here.order({"turn": 1})
    assert (there.progress(), there.ordered(), there.stop_requested()) == (
        {"step": 3},
        {"turn": 1},
        False,
    )
    there.request_stop()
    assert here.stop_requested()


def test_while_the_head_is_away_nothing_is_new_and_nothing_raises(head: Head) -> None:
    channel = Channel("runs/a/1")
    channel.request_stop()
    head.is_away = True
    assert not channel.publish({"step": 3})
    assert (channel.progress(), channel.stop_requested(), channel.warnings()) == (None, False, {})
    channel.close()


def test_a_head_that_is_away_is_asked_again_only_after_a_pause(
    head: Head, now: list[float]
) -> None:
    channel = Channel("runs/a/1")
    head.is_away = True
    for _ in range(100):
        channel.publish({"step": 3})
    assert head.calls == 1
    now[0] += 5.0
    assert not channel.publish({"step": 3})
    assert (head.calls, channel.silent_seconds) == (2, 5.0)


def test_a_head_that_comes_back_is_heard_and_told_again(head: Head, now: list[float]) -> None:
    channel = Channel("runs/a/1")
    head.is_away = True
    channel.publish({"step": 3})
    head.is_away = False
    now[0] += 5.0
    assert channel.publish({"step": 4})
    assert (channel.progress(), channel.silent_seconds) == ({"step": 4}, 0.0)


def test_a_closed_channel_leaves_nothing_not_even_below_it(head: Head) -> None:
    Channel("runs/a/1/group").publish({"step": 3})
    Channel("runs/b/1").publish({"step": 3})
    Channel("runs/a/1").warn("worker", [])
    Channel("runs/a/1").close()
    assert list(head.cells) == [b"runs/b/1/progress"]


def test_without_a_cluster_a_channel_is_silent() -> None:
    channel = Channel("runs/a/1")
    assert not channel.publish({"step": 3})
    assert (channel.progress(), channel.silent_seconds) == (None, 0.0)
