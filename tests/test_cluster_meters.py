"""A worker's counters for Ray: fed from its steps, rarely, and by nobody outside of Ray."""

from collections.abc import Iterator
from typing import Any

import pytest

from cifar_dist.cluster import meters, relay
from cifar_dist.cluster.channel import Channel
from cifar_dist.counts import COUNTS, Counts
from tests.heads import Head, head

__all__ = ["head"]

pytestmark = pytest.mark.filterwarnings("default")


class Counter:
    """Adds up, by name, what Ray would export."""

    sums: dict[str, float]
    tags: set[str]

    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> None:
        self._name, self._keys = name, tag_keys
        assert description.endswith(".")

    def inc(self, value: float, tags: dict[str, str]) -> None:
        """Add, as Ray does, only what is more than nothing."""
        assert type(value) is float
        assert value > 0
        assert tuple(tags) == self._keys == ("run",)
        self.sums[self._name] = self.sums.get(self._name, 0.0) + value
        self.tags.add(tags["run"])


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    time = [100.0]
    monkeypatch.setattr(Counter, "sums", {}, raising=False)
    monkeypatch.setattr(Counter, "tags", set(), raising=False)
    monkeypatch.setattr(meters, "Counter", Counter)
    monkeypatch.setattr("cifar_dist.cluster.meters.time.monotonic", lambda: time[0])
    monkeypatch.setattr(meters.ray, "is_initialized", lambda: True)
    yield time
    COUNTS.listener = None


def test_steps_are_told_at_most_once_a_second_and_none_is_lost(now: list[float]) -> None:
    meters.count_steps("tiny-00000000")
    for _ in range(10):
        COUNTS.step(2, 250.0)
    assert Counter.sums["cifar_dist_worker_steps_total"] == 2.0
    now[0] += 1.0
    COUNTS.step(1, 100.0)
    assert Counter.sums["cifar_dist_worker_steps_total"] == 21.0
    assert Counter.sums["cifar_dist_worker_images_total"] == 2_600.0
    assert Counter.tags == {"tiny-00000000"}


def test_commits_and_retries_are_told_with_the_next_step(now: list[float]) -> None:
    meters.count_steps("tiny-00000000")
    COUNTS.step(1, 1.0)
    before = dict(Counter.sums)
    COUNTS.commit(0.5, 10)
    COUNTS.add("storage_retries", 2)
    now[0] += 1.0
    COUNTS.step(1, 1.0)
    more = {name: value - before.get(name, 0.0) for name, value in Counter.sums.items()}
    assert more["cifar_dist_worker_commit_seconds_total"] == pytest.approx(0.5)
    assert more["cifar_dist_worker_storage_retries_total"] == 2.0
    assert set(more) == set(meters.METERS)


def test_outside_of_ray_nothing_is_counted_for_it(
    now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meters.ray, "is_initialized", lambda: False)
    meters.count_steps("tiny-00000000")
    COUNTS.step(1, 1.0)
    assert Counter.sums == {}


def test_a_warning_brings_what_its_worker_counted_and_its_trial(
    head: Head, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    driver, worker, channel = Counts(), Counts(), Channel("runs/a/1")
    monkeypatch.setattr(relay, "COUNTS", worker)
    with relay.relayed(channel, "trial 3") as told:
        told.trial = 3
        for _ in range(2):
            worker.add("storage_retries")
            relay.log.warning("storage has not answered")
    monkeypatch.setattr(relay, "COUNTS", driver)
    relay.Listener(channel).listen()
    assert driver.totals().amounts["storage_retries"] == 2
    trials: list[Any] = [getattr(record, "trial", None) for record in caplog.records]
    assert trials[-2:] == [3, 3]
