"""Ranks wait for storage together: none looks hung, and one's error is everyone's."""

import time
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from torch.distributed import distributed_c10d

from cifar_dist import world as module
from cifar_dist.errors import DamagedError, StoreError
from cifar_dist.world import World
from tests.processes import in_processes

PATIENCE_SECONDS = 3.0  # of a collective
SLOW_SECONDS = 2 * PATIENCE_SECONDS
HANGING_SECONDS = 60.0


def told(call: Any) -> str:
    """Give the kind and the words of what a call raises."""
    try:
        call()
    except (RuntimeError, KeyError, StoreError, DamagedError) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def slow(world: World) -> int:
    """Let one rank take longer than a collective may."""
    if world.rank == 1:
        time.sleep(SLOW_SECONDS)
    return 10 + world.rank


def failing(world: World, rank: int, error: Exception) -> str:
    """Let one rank's work fail while that of all others hangs."""

    def work() -> None:
        if world.rank == rank:
            raise error
        time.sleep(HANGING_SECONDS)

    return told(lambda: world.together(work))


def act(world: World, folder: Path) -> dict[str, Any]:
    module._MEETING_SECONDS = 0.2
    with warnings.catch_warnings():  # its successor is not in every torch that we support
        warnings.simplefilter("ignore", FutureWarning)
        distributed_c10d._set_pg_timeout(timedelta(seconds=PATIENCE_SECONDS))
    found: dict[str, Any] = {"slow": world.together(lambda: slow(world))}
    found["chief's"] = world.by_chief(lambda: ("chosen by", world.rank))
    started = time.monotonic()
    found["errors"] = [
        failing(world, 0, StoreError("the storage is gone")),
        failing(world, 1, DamagedError("it is damaged")),
        failing(world, 1, KeyError("a bug")),
    ]
    found["seconds"] = time.monotonic() - started
    found["after"] = world.agree("still one world")
    found["apart"] = told(lambda: world.agree(slow(world)))
    return found


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    return in_processes(2, tmp_path_factory.mktemp("together"), act)


def test_a_wait_longer_than_a_collective_may_take_is_no_hang(ranks: list[Any]) -> None:
    assert [rank["slow"] for rank in ranks] == [10, 11]
    assert all(rank["apart"].startswith("RuntimeError") for rank in ranks)


def test_what_the_chief_found_is_known_to_all(ranks: list[Any]) -> None:
    assert all(rank["chief's"] == ("chosen by", 0) for rank in ranks)


def test_an_error_of_one_rank_is_raised_by_all_while_others_still_wait(ranks: list[Any]) -> None:
    for rank in ranks:
        assert rank["errors"][0] == "StoreError: the storage is gone"
        assert rank["errors"][1] == "DamagedError: it is damaged"
        assert rank["seconds"] < HANGING_SECONDS


def test_a_bug_of_another_rank_is_told_with_its_rank(ranks: list[Any]) -> None:
    assert ranks[0]["errors"][2] == "RuntimeError: rank 1 failed: KeyError: 'a bug'"


def test_ranks_go_on_as_one_after_an_error(ranks: list[Any]) -> None:
    assert all(rank["after"] == "still one world" for rank in ranks)


def test_one_process_alone_works_in_its_own_thread() -> None:
    with pytest.raises(KeyError):
        World().together(lambda: {}["missing"])
    assert World().by_chief(lambda: 5) == 5
