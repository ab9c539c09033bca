"""Runs that are killed at random moments learn, bit by bit, what undisturbed ones learn."""

import random
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.s3_servers import Server
from tests.soak import long_only, rounds
from tests.soak_failing import VARIABLE
from tests.soak_jobs import STEPS, Straight, assert_unharmed, seeds, task
from tests.soak_kills import Killed, WorkerStrike, driver_strike, killed, moments
from tests.soak_processes import WORKER, Task, ended, send, titled, wait_for
from tests.soak_runs import name_in, newest_step
from tests.soak_storage import reached, take_away

pytestmark = [
    pytest.mark.soak,
    pytest.mark.cluster,
    pytest.mark.usefixtures("ray_address"),
    pytest.mark.filterwarnings("default"),  # Ray's own are its makers' business
]

FAILURES = ["raise", "exit", "SIGTERM", "SIGINT", "SIGKILL"]


@long_only
@pytest.mark.parametrize("variant", ["plain", "everything"])
def test_killed_workers_change_nothing_that_is_learned(
    variant: str, tmp_path: Path, straight: Straight, figures: dict[str, Any]
) -> None:
    expected = straight(variant, 2)
    figures |= {"runs": 0, "kills": 0, "restarts": 0}
    for number, draw in enumerate(seeds(4)):
        struck = task(tmp_path / f"{number}", variant, 2)
        when = moments(number, 5, STEPS)
        ending = killed(struck, when, WorkerStrike(draw))
        figures["restarts"] += assert_unharmed(struck, ending, expected)
        assert ending.strikes == len(when), "it was too quick to be killed"
        figures["runs"] += 1
        figures["kills"] += ending.strikes


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=long_only)])
def test_killed_drivers_change_nothing_that_is_learned(
    workers: int, tmp_path: Path, straight: Straight, figures: dict[str, Any]
) -> None:
    expected = straight("plain", workers)
    figures |= {"runs": 0, "kills": 0, "restarts": 0}
    for number in range(rounds(1, 2 if workers else 4)):
        struck = task(tmp_path / f"{number}", "plain", workers)
        when = moments(100 + number, rounds(1, 5), STEPS)
        ending = killed(struck, when, driver_strike)
        figures["restarts"] += assert_unharmed(struck, ending, expected)
        assert ending.strikes == len(when), "it was too quick to be killed"
        figures["runs"] += 1
        figures["kills"] += ending.strikes


@long_only
@pytest.mark.parametrize("kind", FAILURES)
def test_however_a_worker_fails_the_same_is_learned(
    kind: str, tmp_path: Path, straight: Straight, figures: dict[str, Any]
) -> None:
    for step in (7, 55):
        marker = tmp_path / f"failed-{step}"
        failing = task(
            tmp_path / f"{step}",
            "everything",
            2,
            module="tests.soak_failing",
            environment={VARIABLE: f"{kind}:{step}:{marker}"},
        )
        ending = Killed(ended(failing, failing.begin()), 1)
        assert marker.exists()
        restarts = assert_unharmed(failing, ending, straight("everything", 2))
        figures[f"restarts after step {step}"] = restarts


@long_only
@pytest.mark.parametrize(("kind", "code"), [("raise", 1), ("exit", 1), ("SIGKILL", -9)])
def test_however_a_driver_fails_it_can_be_resumed(
    kind: str, code: int, tmp_path: Path, straight: Straight, figures: dict[str, Any]
) -> None:
    for step in (7, 55):
        failing = task(
            tmp_path / f"{step}",
            "everything",
            0,
            module="tests.soak_failing",
            environment={VARIABLE: f"{kind}:{step}:{tmp_path / f'failed-{step}'}"},
        )
        assert ended(failing, failing.begin()) == code, failing.shown[-3000:]
        ending = Killed(ended(failing, failing.resume(name_in(failing.store))), 1)
        assert_unharmed(failing, ending, straight("everything", 0))
        figures[f"failed at step {step}"] = code


@long_only
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_driver_that_is_asked_to_stop_commits_and_can_be_resumed(
    number: int, code: int, workers: int, tmp_path: Path, straight: Straight
) -> None:
    for chance in seeds(2):
        asked = task(tmp_path / f"{chance.random()}", "plain", workers)
        process, wanted = asked.begin(), chance.randrange(1, STEPS)
        assert wait_for(lambda: newest_step(asked.store) >= wanted, process), asked.shown  # noqa: B023
        before = newest_step(asked.store)
        process.send_signal(number)
        assert ended(asked, process) == code, asked.shown
        assert newest_step(asked.store) > before
        ending = Killed(ended(asked, asked.resume(name_in(asked.store))), 1)
        assert_unharmed(asked, ending, straight("plain", workers))


@long_only
def test_a_worker_that_hangs_is_found_and_the_same_is_learned(
    tmp_path: Path, straight: Straight, figures: dict[str, Any]
) -> None:
    hanging = task(tmp_path, "plain", 2)
    hung = Task(
        (*hanging.arguments, "--set", "placement.collective_timeout_seconds=20"),
        hanging.store,
        hanging.folder,
    )
    stopped: list[int] = []

    def stop(struck: Task, process: Any) -> Any:
        assert wait_for(lambda: len(titled(WORKER)) >= 2, process)
        stopped.append(random.Random(0).choice(titled(WORKER)))
        send(stopped[0], signal.SIGSTOP)
        return process

    ending = killed(hung, moments(7, 1, STEPS), stop)
    figures["restarts"] = assert_unharmed(hung, ending, straight("plain", 2))
    assert not send(stopped[0], 0), "the process that hung is still there"


@long_only
def test_storage_that_goes_away_costs_a_run_only_the_wait(
    tmp_path: Path, straight: Straight, storage: Server, figures: dict[str, Any]
) -> None:
    with reached(storage) as (proxy, environment):
        store = storage.new_uri()
        waiting = task(tmp_path, "everything", 2, store=store, environment=environment)
        process = waiting.begin()
        assert wait_for(lambda: newest_step(store) > 0, process), waiting.shown
        take_away(proxy, 60)
        ending = Killed(ended(waiting, process), 0)
        figures["refused connections"] = proxy.counts["down"]
    assert figures["refused connections"] > 0, "it was over before"
    assert_unharmed(waiting, ending, straight("everything", 2))
