"""Ranks that compute what is known beforehand: exact sums and one process's gradient."""

from pathlib import Path
from typing import Any

import pytest

from cifar_dist.cluster import checkup
from cifar_dist.config import Placement
from cifar_dist.world import World
from tests.processes import in_processes

PLACEMENT = Placement(workers=1, gpus_per_worker=0)


def facts(world: World) -> dict[str, Any]:
    found = checkup.measured(checkup._job(world.size).recipe, PLACEMENT, world)
    return {**found, "hosts": list(found["hosts"])}


def on_a_rank(world: World, _: Path) -> dict[str, Any]:
    return facts(world)


@pytest.mark.parametrize("size", [1, 2])
def test_ranks_agree_with_one_process(size: int, tmp_path: Path) -> None:
    ranks = in_processes(size, tmp_path, on_a_rank) if size > 1 else [facts(World())]
    for rank in ranks:
        assert rank["sum_is_exact"]
        assert rank["gradient_difference"] < 1e-3
        assert len(rank["hosts"]) == size
        assert rank["bytes_per_second"] > 0


def test_a_sum_that_is_off_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "add", lambda self, tensor: tensor.mul_(2))
    assert not facts(World())["sum_is_exact"]
