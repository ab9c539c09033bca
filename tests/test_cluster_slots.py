"""Trials run at once as far as their workers fit the cluster's machines."""

import logging

import pytest

from cifar_dist.cluster import slots as slots_module
from cifar_dist.cluster.connection import Cluster, limits
from cifar_dist.cluster.slots import check_here, slots_for
from cifar_dist.config import Placement
from cifar_dist.errors import ConfigError, DeviceError, RunError

pytestmark = pytest.mark.filterwarnings("default")

BOARD = "http://127.0.0.1:8265"
LAPTOP = Cluster(((8.0, 0.0),), BOARD)
GPUS = Cluster(((16.0, 4.0), (16.0, 4.0), (4.0, 0.0)), BOARD)


@pytest.mark.parametrize(
    ("cluster", "placement", "count", "worker"),
    [
        (LAPTOP, Placement(), 8, {"CPU": 1.0}),
        (LAPTOP, Placement(cpus_per_worker=0.1), 80, {"CPU": 0.1}),
        (LAPTOP, Placement(workers=3), 2, {"CPU": 1.0}),
        (LAPTOP, Placement(workers=0, concurrency=2), 2, {"CPU": 1.0}),
        (GPUS, Placement(), 8, {"CPU": 1.0, "GPU": 1.0}),
        (GPUS, Placement(gpus_per_worker=0.25), 32, {"CPU": 1.0, "GPU": 0.25}),
        (GPUS, Placement(workers=4, cpus_per_worker=5), 1, {"CPU": 5.0, "GPU": 1.0}),
        (GPUS, Placement(gpus_per_worker=0), 36, {"CPU": 1.0}),
    ],
)
def test_as_many_trials_run_at_once_as_their_workers_fit(
    cluster: Cluster, placement: Placement, count: int, worker: dict[str, float]
) -> None:
    slots = slots_for(placement, cluster)
    assert (slots.count, slots.worker) == (count, worker)


@pytest.mark.parametrize(
    ("placement", "named"),
    [
        (Placement(workers=9), "needs 9 CPUs"),
        (Placement(gpus_per_worker=1), "needs 1 GPUs but the cluster has 0; add machines"),
        (Placement(workers=2, cpus_per_worker=4.5), "needs 9 CPUs"),
    ],
)
def test_a_trial_that_does_not_fit_at_all_is_refused(placement: Placement, named: str) -> None:
    with pytest.raises(DeviceError, match=named):
        slots_for(placement, LAPTOP)


def test_workers_that_no_machine_can_hold_are_refused_though_their_sum_would_fit() -> None:
    with pytest.raises(DeviceError, match="room for 2 of them; lower"):
        slots_for(Placement(workers=3, cpus_per_worker=9, gpus_per_worker=0), GPUS)


def test_trials_of_several_workers_need_a_dashboard_and_those_of_one_do_not() -> None:
    bare = Cluster(LAPTOP.nodes, None)
    assert slots_for(Placement(), bare).count == 8
    with pytest.raises(RunError, match="--include-dashboard=true"):
        slots_for(Placement(workers=2), bare)


def test_a_concurrency_that_does_not_fit_is_lowered_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert slots_for(Placement(workers=2, concurrency=9), LAPTOP).count == 4
    assert "from=9 to=4" in caplog.text


def test_machines_that_an_autoscaler_may_bring_count_as_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CIFAR_DIST_CLUSTER_LIMITS", "[[8, 1, 3], [4, 0, 1]]")
    grown = Cluster(limits(), BOARD)
    assert (grown.cpus, grown.gpus) == (28.0, 3.0)
    assert slots_for(Placement(gpus_per_worker=0.5), grown).count == 6
    monkeypatch.delenv("CIFAR_DIST_CLUSTER_LIMITS")
    assert limits() == ()


@pytest.mark.parametrize(
    "text",
    [
        "8",
        "[[8, 1]]",
        "{}x",
        '[["a", 0, 1]]',
        "[[1, 2, Infinity]]",
        "[[NaN, 0, 2]]",
        "[[-1, 0, 2]]",
        "[[1, Infinity, 2]]",
        "[[1, 0, -3]]",
        "[[1, 0, 0]]",
        "[[1, 0, 1000000000]]",
    ],
)
def test_limits_that_cannot_be_read_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("CIFAR_DIST_CLUSTER_LIMITS", text)
    with pytest.raises(ConfigError, match=r"CIFAR_DIST_CLUSTER_LIMITS=.* must be a JSON list"):
        limits()


def test_this_machine_is_asked_before_anything_begins_unless_a_cluster_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slots_module, "owned_cpus", lambda: 2)
    monkeypatch.setattr(slots_module, "usable_gpus", lambda: 0)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    check_here(Placement(workers=2))
    with pytest.raises(DeviceError, match="needs 64 CPUs but the cluster has 2"):
        check_here(Placement(workers=64))
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    check_here(Placement(workers=64))
