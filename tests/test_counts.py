"""What processes count is told as plain sums: late, twice and after a restart it stays right."""

import copy
import gc
import json
import time

import pytest

from cifar_dist.counts import BOUNDS_SECONDS, COUNTS, NAMES, Counts


def amounts(counts: Counts) -> dict[str, float]:
    return {name: value for name, value in counts.totals().amounts.items() if value}


def test_what_a_worker_tells_again_counts_once() -> None:
    driver, worker = Counts(), Counts()
    worker.add("storage_retries", 2)
    for _ in range(3):
        driver.hear(worker.told())
    worker.add("storage_retries")
    late = worker.told()
    worker.add("storage_retries")
    driver.hear(worker.told())
    driver.hear(late)
    assert amounts(driver) == {"storage_retries": 4}


def test_a_machine_that_many_tell_of_is_taken_away_once() -> None:
    driver = Counts()
    for _ in range(8):
        worker = Counts()
        worker.preempted(["node-1"])
        driver.hear(worker.told())
    driver.preempted(["node-2"])
    driver.hear(worker.told())
    assert amounts(driver) == {"preemptions": 2}


@pytest.mark.parametrize("told", [[], ["b"], ["b", [1.0], None, 0, 0.0, []], ["b", [], None, 0, 0]])
def test_what_another_version_tells_changes_nothing(told: list[object]) -> None:
    driver = Counts()
    driver.hear(told)
    assert amounts(driver) == {}


def test_nothing_falls_when_a_worker_begins_again_from_nothing() -> None:
    driver = Counts()
    for life in range(1, 4):
        worker = Counts()
        worker.commit(0.2, 1_000)
        driver.hear(worker.told())
        assert driver.totals().amounts["commit_bytes"] == 1_000 * life
    driver.hear(driver.told())
    driver.hear(None)
    assert driver.totals().amounts["commit_bytes"] == 3_000


def test_what_is_told_is_plain_and_travels_as_json() -> None:
    worker = Counts()
    worker.commit(seconds=BOUNDS_SECONDS[0], size_bytes=5)
    told = worker.told()
    assert json.loads(json.dumps(told)) == told
    assert {type(number) for number in told[1]} == {float}
    assert len(told[1]) == len(NAMES)


@pytest.mark.parametrize(
    ("seconds", "place"), [(0.0, 0), (0.1, 0), (0.11, 1), (300.0, 10), (1e9, 11)]
)
def test_a_commit_is_counted_in_the_class_of_its_seconds(seconds: float, place: int) -> None:
    counts = Counts()
    counts.commit(seconds, 1)
    assert [i for i, count in enumerate(counts.totals().buckets) if count] == [place]


def test_uploads_are_those_of_every_living_owner_and_of_what_was_heard_lately() -> None:
    driver, worker, owner = Counts(), Counts(), Counts()
    now = time.monotonic()
    driver.upload(owner, [now - 30, now])
    worker.upload(worker, [now - 90])
    driver.hear(worker.told())
    totals = driver.totals()
    assert totals.uploads == 3
    assert 90 <= totals.lag_seconds < 100
    worker.upload(worker, [])
    driver.hear(worker.told())
    del owner
    gc.collect()
    assert (driver.totals().uploads, driver.totals().lag_seconds) == (0, 0.0)


def test_a_process_that_fell_silent_uploads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    driver, worker = Counts(), Counts()
    worker.upload(worker, [time.monotonic()])
    driver.hear(worker.told())
    later, last = time.monotonic() + 301, worker.told()
    monkeypatch.setattr("cifar_dist.counts.time.monotonic", lambda: later - 100)
    driver.hear(last)
    assert driver.totals().uploads == 1
    driver.hear(last)  # read again from where it left it
    monkeypatch.setattr("cifar_dist.counts.time.monotonic", lambda: later + 201)
    assert driver.totals().uploads == 0


def test_what_is_reserved_is_paid_for_until_it_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("cifar_dist.counts.time.monotonic", lambda: now[0])
    counts = Counts()
    with counts.reserved(2, 8.0, 2.0):
        now[0] = 10.0
        assert (counts.totals().cpu_seconds, counts.workers) == (80.0, 2)
        now[0] = 20.0
    now[0] = 99.0
    totals = counts.totals()
    assert (totals.cpu_seconds, totals.gpu_seconds, counts.workers) == (160.0, 40.0, 0)


def test_the_last_word_of_processes_without_number_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cifar_dist.counts._SOURCES", 10)
    driver = Counts()
    for _ in range(30):
        worker = Counts()
        worker.add("restarts")
        driver.hear(worker.told())
    assert len(driver._heard) == 10
    assert amounts(driver) == {"restarts": 30}


def test_counts_that_are_sent_elsewhere_are_those_of_the_process_there() -> None:
    assert copy.copy(COUNTS) is COUNTS
