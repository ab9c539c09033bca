"""A trial gets CPUs that nobody else would use, or the part of a GPU whose memory it needs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from cifar_dist import probe
from cifar_dist.cluster import shares
from cifar_dist.cluster.connection import Cluster
from cifar_dist.cluster.shares import placement_of, trials_per_gpu
from cifar_dist.cluster.slots import slots_for
from cifar_dist.probe import thread_seconds
from cifar_dist.runs import SHARE, Sweep
from cifar_dist.search import Space
from cifar_dist.store import open_store
from tests.tiny import make_job, make_recipe, pictures

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return Sweep(open_store(str(tmp_path)), "sweeps/tiny-00000000")


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[int]]:
    """Let eight threads be thrice as fast as one, and four nearly; gives what was timed."""
    asked: list[Sequence[int]] = []

    def fake(recipe: Any, train: Any, counts: Sequence[int]) -> dict[int, float]:
        asked.append(counts)
        return {count: {1: 0.3, 2: 0.2, 4: 0.102, 8: 0.1}.get(count, 0.15) for count in counts}

    monkeypatch.setattr(shares, "thread_seconds", fake)
    return asked


def space_of(**placement: Any) -> Space:
    job = make_job(placement__workers=None).model_dump(mode="json")
    job["placement"] |= {"gpus_per_worker": None, **placement}
    searched = {"recipe.optimizer.lr": {"uniform": [0.01, 0.2]}}
    return Space.parse({"description": "d", "job": job, "trials": 8, "space": searched})


def machine(*cpus: float, gpus: float = 0.0) -> Cluster:
    return Cluster(tuple((each, gpus) for each in cpus), None)


def test_where_each_cpu_has_a_trial_nothing_is_timed(
    sweep: Sweep, timed: list[Sequence[int]]
) -> None:
    assert placement_of(space_of(), sweep, 9, machine(8)).cpus_per_worker == 1
    assert not timed
    assert (sweep.recorded(SHARE) or {})["reason"] == "each CPU has a trial of its own"


def test_idle_cpus_go_to_the_trials_as_far_as_that_is_faster(
    sweep: Sweep, timed: list[Sequence[int]]
) -> None:
    placement = placement_of(space_of(), sweep, 3, machine(16, 8))
    assert timed == [[1, 2, 4, 8]], "with eight CPUs each three of them run at once"
    assert placement.cpus_per_worker == 4, "eight are within the noise of four"
    assert slots_for(placement, machine(16, 8)).worker == {"CPU": 4.0}
    verdict = sweep.recorded(SHARE) or {}
    assert verdict["reason"].startswith("2.94 × the speed of one")


def test_a_verdict_holds_for_the_sweep_and_is_lowered_only_where_it_cannot_fit(
    sweep: Sweep, timed: list[Sequence[int]]
) -> None:
    placement_of(space_of(), sweep, 1, machine(4))
    assert placement_of(space_of(), sweep, 9, machine(8)).cpus_per_worker == 4
    assert placement_of(space_of(), sweep, 1, machine(2)).cpus_per_worker == 2
    assert len(timed) == 1


@pytest.mark.parametrize(
    ("placement", "gpus"),
    [({"cpus_per_worker": 2.0}, 0.0), ({"concurrency": 1}, 0.0), ({"workers": 2}, 0.0), ({}, 1.0)],
)
def test_what_a_user_says_and_a_gpu_leave_nothing_open(
    placement: dict[str, Any], gpus: float, sweep: Sweep, timed: list[Sequence[int]]
) -> None:
    space = space_of(**placement)
    assert placement_of(space, sweep, 1, machine(8, gpus=gpus)) == space.job.placement
    assert (timed, sweep.recorded(SHARE)) == ([], None)


def test_a_cluster_elsewhere_and_a_sweep_begun_before_keep_one_cpu(
    sweep: Sweep, timed: list[Sequence[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Sweep, "events", lambda self: iter([{"event": "open"}]))
        assert placement_of(space_of(), sweep, 1, machine(8)).cpus_per_worker == 1
    other = Sweep(sweep.store, "sweeps/other-00000000")
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert placement_of(space_of(), other, 1, machine(8)).cpus_per_worker == 1
    assert not timed


def test_steps_are_timed_with_each_number_of_threads_and_leave_it_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = torch.get_num_threads()
    seen: list[int] = []
    monkeypatch.setattr(
        probe, "_step_seconds", lambda *_: float(seen.append(torch.get_num_threads()) or 1)
    )
    assert thread_seconds(make_recipe(), pictures(100), [1, 2]) == {1: 1.0, 2: 1.0}
    assert (seen, torch.get_num_threads()) == ([1, 2], before)


GIB = 1024**3


@pytest.mark.parametrize(
    ("need", "free", "wanted", "count"),
    [(2.0, 24.0, 5, 5), (2.0, 12.0, 20, 4), (2.0, 141.0, 20, 8), (30.0, 24.0, 5, 1)],
)
def test_as_many_trials_share_a_gpu_as_its_memory_holds(
    need: float, free: float, wanted: int, count: int
) -> None:
    assert trials_per_gpu(int(need * GIB), int(free * GIB), wanted) == count


def test_trials_share_gpus_by_the_memory_that_the_base_job_was_seen_to_need(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []
    monkeypatch.setattr(shares, "usable_gpus", lambda: 2)
    monkeypatch.setattr(shares, "gpu_free_bytes", lambda: 12 * GIB)
    monkeypatch.setattr(shares, "gpu_bytes", lambda *_: measured.append(1) or 3 * GIB)
    cluster = machine(16, gpus=2.0)
    placement = placement_of(space_of(), sweep, 9, cluster)
    assert (placement.gpus_per_worker, slots_for(placement, cluster).count) == (0.5, 4)
    monkeypatch.setattr(shares, "gpu_free_bytes", lambda: 4 * GIB)
    assert placement_of(space_of(), sweep, 9, cluster).gpus_per_worker == 1.0
    assert measured == [1], "once for the sweep"
    assert placement_of(space_of(), sweep, 2, cluster).gpus_per_worker is None, "one each"
