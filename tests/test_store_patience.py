"""Waiting for storage is told to people, bounded, and never ends what still moves."""

import itertools
import logging
import socket
from collections.abc import Callable

import pytest

from cifar_dist.errors import ConfigError, StoreError
from cifar_dist.store import client as clients
from cifar_dist.store import open_store
from cifar_dist.store import patience as waiting
from cifar_dist.store.patience import DEADLINE_VARIABLE, Patience, TransientError, persist

pytestmark = pytest.mark.usefixtures("s3_environment")
PLACE = "s3://bucket/key at http://host"


class Clock:
    """Time that passes only where somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Tell the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let it pass."""
        self.now += max(seconds, 0.001)  # as no clock stands still


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let pauses take no time."""
    clock = Clock()
    monkeypatch.setattr(waiting, "time", clock)
    return clock


def failing(clock: Clock, until: float) -> Callable[[], str]:
    def step() -> str:
        clock.now += 1.0
        if clock.now < until:
            raise TransientError("HTTP 503")
        return "done"

    return step


def test_waiting_is_told_when_it_begins_then_every_ten_seconds_and_its_end_once(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert persist(failing(clock, 43.0), Patience(PLACE, 300.0)) == "done"
    told = [record.getMessage() for record in caplog.records]
    begun = "storage has not answered for 1 s, giving up at 300 s"
    assert told[0] == f"{begun} place={PLACE} fault=HTTP 503"
    assert told[-1].startswith("storage answers again after ")
    assert all("has not answered for" in line for line in told[:-1])
    times = [int(line.split()[5]) for line in told[:-1]]
    assert all(10 <= later - sooner <= 12 for sooner, later in itertools.pairwise(times))


def test_a_step_without_a_fault_says_nothing(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert persist(failing(clock, 0.0), Patience(PLACE, 300.0)) == "done"
    assert caplog.records == []


@pytest.mark.parametrize("seconds", [0.0, 10.0, 300.0])
def test_waiting_ends_with_the_try_that_follows_the_deadline(clock: Clock, seconds: float) -> None:
    with pytest.raises(StoreError, match=f"{PLACE} failed for .*{DEADLINE_VARIABLE}"):
        persist(failing(clock, 1e9), Patience(PLACE, seconds))
    assert seconds <= clock.now <= seconds + 2


def test_something_new_gives_patience_again(clock: Clock) -> None:
    patience = Patience(PLACE, 10.0)
    clock.now = 9.0
    patience.renew()
    clock.now = 18.0
    patience.wait(TransientError("HTTP 503"))
    clock.now = 30.0
    with pytest.raises(StoreError):
        patience.wait(TransientError("HTTP 503"))


def test_an_unreachable_server_is_given_up_after_the_deadline(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
        monkeypatch.setenv(DEADLINE_VARIABLE, "0.01")
        with caplog.at_level(logging.WARNING), pytest.raises(StoreError, match=DEADLINE_VARIABLE):
            open_store("s3://bucket").read("key", 1)


def test_a_store_that_never_answered_is_given_less_time_until_it_did() -> None:
    bucket = open_store("s3://bucket/patience")._bucket  # type: ignore[attr-defined]
    assert bucket._seconds() == 30
    assert list(bucket.pages("list_objects_v2", Prefix="nothing/"))
    assert bucket._seconds() == 300


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "1e9"])
def test_a_wrong_deadline_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(DEADLINE_VARIABLE, text)
    with pytest.raises(ConfigError, match=DEADLINE_VARIABLE):
        open_store("s3://bucket")


def test_a_silent_server_holds_a_step_for_half_a_minute_at_most_after_its_deadline() -> None:
    settings = clients._COMMON
    assert settings["retries"]["total_max_attempts"] == 1
    assert settings["connect_timeout"] + settings["read_timeout"] <= 30
    assert 2 * settings["read_timeout"] <= 30
