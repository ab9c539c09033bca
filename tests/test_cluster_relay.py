"""A worker's warnings are told to the person who drives it: each once, the newest few."""

import logging
from collections.abc import Iterator

import pytest

from cifar_dist.cluster.channel import Channel
from cifar_dist.cluster.relay import Listener, Relay, relayed
from tests.heads import Head, head

__all__ = ["head"]

pytestmark = pytest.mark.filterwarnings("default")

worker = logging.getLogger("cifar_dist.store.patience")


@pytest.fixture
def channel(head: Head) -> Channel:
    return Channel("runs/a/1")


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    caplog.set_level(logging.INFO, logger="cifar_dist")
    yield caplog


def heard(told: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in told.records if r.name == "cifar_dist.cluster.relay"]


def test_a_warning_is_told_once_with_who_warns(
    channel: Channel, told: pytest.LogCaptureFixture
) -> None:
    listener = Listener(channel)
    for warn in (lambda: worker.warning("no answer for %d s", 40), lambda: worker.error("gone")):
        with relayed(channel, "worker 1"):
            warn()
        listener.listen()
        listener.listen()
    assert heard(told) == ["worker 1: no answer for 40 s", "worker 1: gone"]
    assert told.records[-1].levelno == logging.ERROR


def test_only_warnings_of_this_package_are_told_and_no_traceback(
    channel: Channel, told: pytest.LogCaptureFixture
) -> None:
    with relayed(channel, "worker 0"):
        worker.info("resumed")
        logging.getLogger("ray.train").warning("chatter")
        worker.warning("trial failed", exc_info=KeyError("momentum"))
    worker.warning("nobody listens any more")
    Listener(channel).listen()
    assert heard(told) == []


def test_a_flood_of_warnings_leaves_the_newest(
    channel: Channel, told: pytest.LogCaptureFixture, head: Head
) -> None:
    with relayed(channel, "worker 0"):
        for number in range(1_000):
            worker.warning("skipped checkpoint number=%d %s", number, "x" * 1_000)
    Listener(channel).listen()
    assert len(heard(told)) == 20
    assert heard(told)[-1].startswith("worker 0: skipped checkpoint number=999 x")
    assert sum(map(len, head.cells.values())) < 20 * 600


def test_workers_do_not_hide_each_other_and_a_name_may_change(
    channel: Channel, told: pytest.LogCaptureFixture
) -> None:
    first, second = Relay(channel, "trial 0"), Relay(channel, "trial 1")
    for relay in (first, second):
        relay.open()
    worker.warning("slow")
    first.speaker = "trial 2"
    worker.warning("slower")
    for relay in (first, second):
        relay.close()
    Listener(channel).listen()
    assert set(heard(told)) == {
        "trial 0: slow",
        "trial 1: slow",
        "trial 2: slower",
        "trial 1: slower",
    }


def test_a_warning_while_the_head_is_away_stops_nobody(channel: Channel, head: Head) -> None:
    head.is_away = True
    with relayed(channel, "worker 0"):
        worker.warning("storage has not answered for 40 s")
    assert not head.cells
