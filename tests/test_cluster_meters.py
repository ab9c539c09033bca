"""A worker's counters for Ray: fed from its steps, rarely, and by nobody outside of Ray."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cifar_dist.cluster import meters, relay, train
from cifar_dist.cluster.channel import Channel
from cifar_dist.counts import COUNTS, Counts
from cifar_dist.world import World
from tests.heads import Head, head
from tests.tiny import make_job

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


def test_the_rest_is_told_when_the_work_is_done(now: list[float]) -> None:
    flush = meters.count_steps("tiny-00000000")
    for _ in range(3):
        COUNTS.step(1, 100.0)
    COUNTS.commit(0.5, 10)
    assert Counter.sums == {
        "cifar_dist_worker_images_total": 100.0, "cifar_dist_worker_steps_total": 1.0,
    }  # fmt: skip
    flush()
    flush()
    assert Counter.sums["cifar_dist_worker_steps_total"] == 3.0
    assert Counter.sums["cifar_dist_worker_commit_seconds_total"] == pytest.approx(0.5)


def test_what_was_counted_for_a_run_before_is_not_told_again(now: list[float]) -> None:
    COUNTS.add("storage_retries", 3)
    meters.count_steps("tiny-11111111")
    COUNTS.step(1, 1.0)
    assert "cifar_dist_worker_storage_retries_total" not in Counter.sums


def test_outside_of_ray_nothing_is_counted_for_it(
    now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meters.ray, "is_initialized", lambda: False)
    meters.count_steps("tiny-00000000")()
    COUNTS.step(1, 1.0)
    assert Counter.sums == {}


def test_a_warning_brings_what_its_worker_counted_and_its_trial(
    head: Head, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    driver, worker, channel = Counts(), Counts(), Channel("runs/a/1")
    monkeypatch.setattr(relay, "COUNTS", worker)
    told = relay.Relay(channel, "trial 3")
    told.trial = 3
    told.open()
    for _ in range(2):
        worker.add("storage_retries")
        relay.log.warning("storage has not answered")
    monkeypatch.setattr(relay, "COUNTS", driver)
    relay.Listener(channel).listen()
    told.close()
    assert driver.totals().amounts["storage_retries"] == 2
    trials: list[Any] = [getattr(record, "trial", None) for record in caplog.records]
    assert trials[-2:] == [3, 3]


def test_counts_are_told_while_training_waits_for_its_storage(
    head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, worker, channel = Counts(), Counts(), Channel("runs/a/1")
    monkeypatch.setattr(relay, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(relay, "COUNTS", worker)
    with relay.relayed(channel, "worker 0"):
        worker.commit(0.2, 500)
        deadline = time.monotonic() + 30
        while not driver.totals().amounts["commit_bytes"] and time.monotonic() < deadline:
            for told in channel.told():
                driver.hear(told)
        assert driver.totals().amounts["commit_bytes"] == 500


def test_counts_are_read_now_and_then_and_at_the_end(
    head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, worker, channel = Counts(), Counts(), Channel("runs/a/1")
    monkeypatch.setattr(relay, "COUNTS", driver)
    listener = relay.Listener(channel)
    listener.listen()
    worker.commit(0.2, 500)
    channel.tell("a", worker.told())
    listener.listen()
    assert driver.totals().amounts["commit_bytes"] == 0
    listener.listen(is_last=True)
    assert driver.totals().amounts["commit_bytes"] == 500


def test_a_warning_of_another_version_is_logged(
    head: Head, caplog: pytest.LogCaptureFixture
) -> None:
    channel = Channel("runs/a/1")
    channel.warn("a", [{"number": 1, "level": 30, "text": "worker 0: slow"}])
    relay.Listener(channel).listen()
    assert caplog.records[-1].getMessage() == "worker 0: slow"


@pytest.mark.parametrize("lives", [1, 3])
def test_a_run_is_taken_up_again_only_after_its_workers_were_lost(
    lives: int, head: Head, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    counts, result = Counts(), SimpleNamespace(model_dump=lambda mode: {})
    job = make_job(store=str(tmp_path)).model_dump(mode="json")
    given = {"job": job, "prefix": "runs/a", "channel": "runs/a/1"}
    monkeypatch.setattr(train, "COUNTS", counts)
    monkeypatch.setattr(train, "this_world", World)

    def session(job: Any, run: Any, world: Any, reporter: Any) -> Any:
        reporter.observe(1, 10, [])
        return result

    monkeypatch.setattr(train, "train_session", session)
    for _ in range(lives):
        train._work(given)
    assert counts.own()["restarts"] == lives - 1
