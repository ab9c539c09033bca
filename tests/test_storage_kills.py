"""Killed at any moment, a writer loses no acknowledged checkpoint and tears none."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.runs import Run
from cifar_dist.store import Store, open_store
from tests.dying_store import Death, DeathError, DyingStore, When, raise_death
from tests.s3_servers import Server
from tests.soak import long_only, rounds
from tests.writers import Order, Writers, commit, is_exact

pytestmark = pytest.mark.soak
MANY = list(range(1, 1000))
NEVER: tuple[int, When] = (0, "before")


@pytest.fixture
def store(server: Server) -> Store:
    return open_store(server.new_uri())


def ordered(run: Run, folder: Path, steps: list[int], death: tuple[int, When]) -> Order:
    folder.mkdir()
    return Order(run.store.uri, run.prefix, str(folder), steps, death)


def emptied(store: Store) -> int:
    """Remove everything; gives how many multipart uploads were left half-done."""
    store.delete([entry.key for entry in store.entries()])
    return store.discard_unfinished(timedelta(hours=-1))


def judged(run: Run, folder: Path, acknowledged: list[int]) -> Counter[str]:
    """Count what a writer's end left behind, and empty the store."""
    chosen, newest = run.latest_intact(folder), max(acknowledged, default=0)
    step = chosen.step if chosen else 0
    return Counter(
        acknowledged=len(acknowledged),
        lost=int(step < newest),
        torn=int(step > 0 and not is_exact(folder, step)),
        ahead=int(step > newest),
        orphans=emptied(run.store),
    )


def test_no_kill_at_a_random_moment_loses_or_tears_a_checkpoint(
    server: Server, store: Store, writers: Writers, tmp_path: Path, figures: dict[str, Any]
) -> None:
    moments, kills = random.Random(9), rounds(6, 200 if server.simulated else 60)
    found, seconds = Counter[str](), 0.0
    for number in range(kills + 1):  # the first is let finish, to see how long four commits take
        run = Run(store, f"runs/a-{number:08d}")
        writing = ordered(run, tmp_path / str(number), MANY if number else MANY[:4], NEVER)
        start, process = time.monotonic(), writers.start(writing)
        if number:
            time.sleep(moments.uniform(0, seconds))
            os.kill(process, signal.SIGKILL)
        found["killed"] += writers.ended() == -signal.SIGKILL
        seconds = seconds or time.monotonic() - start
        found.update(judged(run, tmp_path / f"back-{number}", writing.acknowledged()))
        figures.update(found, writer_seconds=round(seconds, 2))
    assert found["lost"] == found["torn"] == 0
    assert found["killed"] == kills


@pytest.mark.parametrize("when", [pytest.param("before", marks=long_only), "after"])
@pytest.mark.parametrize("server", ["moto", pytest.param("real", marks=long_only)], indirect=True)
def test_a_death_at_any_request_of_a_commit_is_safe(
    store: Store, writers: Writers, tmp_path: Path, when: When, figures: dict[str, Any]
) -> None:
    found, number = Counter[str](), 0
    while number == found["died"]:  # until one lived on, as there was no such request
        number += 1
        run, folder = Run(store, f"runs/a-{number:08d}"), tmp_path / str(number)
        dying = ordered(run, folder, [2], (number, when))
        commit(run.claim_attempt(), folder, 1)
        writers.start(dying)
        found["died"] += writers.ended() == 9
        chosen = run.latest_intact(folder / "dead")
        assert chosen is not None and is_exact(folder / "dead", chosen.step)
        commit(run.claim_attempt(), folder, 3)
        assert run.checkpoints()[0].step == 3
        found["orphans"] += emptied(store)
    figures.update(found)
    assert found["died"] >= 8


LIVES: dict[str, Callable[[Run, Path], object]] = {
    "claim": lambda run, _: run.claim_attempt(),
    "commit": lambda run, folder: commit(run.claim_attempt(), folder, 5),
    "pin": lambda run, _: run.pin("best", run.checkpoints()[0]),
    "prune": lambda run, _: run.prune(1),
    "resume": lambda run, folder: run.latest_intact(folder / "resumed"),
}


@pytest.mark.parametrize("life", LIVES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_death_at_any_call_to_a_store_is_safe(tmp_path: Path, when: When, life: str) -> None:
    number, died = 0, True
    while died:
        number += 1
        folder = tmp_path / str(number)
        run = Run(open_store(str(folder / "store")), "runs/a-00000000")
        attempt = run.claim_attempt()
        run.pin("best", commit(attempt, folder, 1))
        commit(attempt, folder, 3)
        dying = Run(DyingStore(run.store, Death(number, when, raise_death)), run.prefix)
        try:
            LIVES[life](dying, folder)
        except DeathError:
            died = True
        else:
            died = False
        chosen, best = run.latest_intact(folder / "back"), run.best()
        assert chosen is not None and chosen.step >= 3 and is_exact(folder / "back", chosen.step)
        assert best is not None and run.manifest(best.key) == best
        commit(run.claim_attempt(), folder, 7)
        assert run.checkpoints()[0].step == 7
    assert number > 2
