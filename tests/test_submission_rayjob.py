"""How many pods of which group a run needs, and what the platform cannot hold."""

import math
from dataclasses import replace
from typing import Any

import pytest

from cifar_dist.errors import ConfigError
from cifar_dist.submission.asked import Asked
from cifar_dist.submission.rayjob import ASKED, STORE, TITLE, Plan, plan, pod_of
from cifar_dist.submission.values import complete
from tests.test_submission_asked import of_job, of_space

PLACES = {"store": {"uri": "s3://research/team"}, "data": {"uri": "s3://research/team"}}
GPUS = {"workerGroups": {"cpu": {"enabled": False}, "gpu": {"enabled": True}}}


def planned(asked: Asked, *layers: dict[str, Any], number: int = 1) -> Plan:
    return plan(asked, complete(PLACES, *layers), "cifar-dist submit", number)


def chosen(plan: Plan) -> str:
    """Name the one group that a plan enables."""
    (name,) = [key for key, each in plan.values["workerGroups"].items() if each["enabled"]]
    return str(name)


def group(limits: dict[str, str], most: int = 4, **more: Any) -> dict[str, Any]:
    """Change the group cpu."""
    resources = {"requests": limits, "limits": limits}
    return {"workerGroups": {"cpu": {"resources": resources, "maxReplicas": most, **more}}}


@pytest.mark.parametrize("workers", [None, 1, 2, 4])
def test_each_worker_of_a_run_has_a_pod_and_all_its_cpus(workers: int | None) -> None:
    found = planned(of_job(placement__workers=workers))
    count = workers or 1
    assert found.pods == (count, count)
    groups = found.values["workerGroups"]
    assert groups["cpu"] == {
        "enabled": True, "minReplicas": count, "maxReplicas": count, "replicas": count,
        "spread": True,
    }  # fmt: skip
    assert groups["gpu"] == {"enabled": False}
    assert f"--workers {count} " in found.command.line
    assert "placement.cpus_per_worker=2 " in found.command.line


def test_a_pod_holds_more_workers_where_the_placement_says_so() -> None:
    found = planned(of_job(placement__workers=3, placement__cpus_per_worker=0.5))
    assert found.pods == (1, 1)
    assert "cpus_per_worker=0.5" in found.command.line
    assert found.command.line.count("cpus_per_worker") == 1


def test_a_run_takes_the_gpus_of_the_enabled_group_or_those_it_asks_for() -> None:
    four = {"workerGroups": {"gpu": {"resources": {"limits": {"nvidia.com/gpu": "4"}}}}}
    found = planned(of_job(placement__workers=8), GPUS, four)
    assert (chosen(found), found.pods) == ("gpu", (2, 2))
    assert "placement.gpus_per_worker=1 " in found.command.line
    assert "placement.cpus_per_worker=2 " in found.command.line
    found = planned(of_job(placement__gpus_per_worker=0.5, placement__workers=2))
    assert (chosen(found), found.pods) == ("gpu", (1, 1))
    assert found.values["workerGroups"]["cpu"] == {"enabled": False}
    assert chosen(planned(of_job(placement__gpus_per_worker=0), GPUS)) == "cpu"


def test_a_sweep_may_grow_to_its_groups_most() -> None:
    found = planned(of_space("dropout"))
    assert found.pods == (0, 4)
    assert found.values["workerGroups"]["cpu"]["replicas"] is None
    assert "placement.concurrency=8 " in found.command.line
    found = planned(of_space("dropout", placement__concurrency=3))
    assert found.pods == (0, 2)
    found = planned(of_space("dropout", placement__concurrency=2, placement__workers=2))
    assert found.pods == (0, 2)


def test_a_fixed_number_of_pods_is_kept_by_a_sweep_and_bounds_it() -> None:
    two = group({"cpu": "2", "memory": "6Gi"}, replicas=2)
    found = planned(of_space("dropout"), two)
    assert found.pods == (2, 2)
    assert "placement.concurrency=4 " in found.command.line
    with pytest.raises(ConfigError, match=r"concurrency=5 .*whose replicas is 2"):
        planned(of_space("dropout", placement__concurrency=5), two)


def test_the_first_group_that_holds_the_work_is_taken() -> None:
    big = {"requests": {"cpu": "8", "memory": "8Gi"}, "limits": {"cpu": "8", "memory": "8Gi"}}
    layer = {"workerGroups": {"big": {"enabled": True, "resources": big}}}
    assert chosen(planned(of_job(placement__cpus_per_worker=6), layer)) == "big"
    assert chosen(planned(of_job(), layer)) == "cpu"
    layer["workerGroups"]["big"]["enabled"] = False
    with pytest.raises(ConfigError, match="group cpu with 2 CPUs"):
        planned(of_job(placement__cpus_per_worker=6), layer)


@pytest.mark.parametrize(
    "fixed", [{"autoscaling": {"enabled": False}}, {"queue": {"type": "kueue", "name": "q"}}]
)
def test_without_an_autoscaler_the_pods_are_there_from_the_start(fixed: dict[str, Any]) -> None:
    assert planned(of_space("dropout"), fixed).pods == (4, 4)
    three = group({"cpu": "2", "memory": "6Gi"}, replicas=3)
    assert planned(of_space("dropout"), fixed, three).pods == (3, 3)


@pytest.mark.parametrize(
    ("asked", "layer", "said"),
    [
        (of_job(placement__workers=0), {}, "placement.workers=0 trains in the head"),
        (of_space("dropout", placement__workers=0), {}, "placement.workers=0 trains in the head"),
        (of_job(placement__workers=5), {}, "placement.workers=5 .*cpu.*maxReplicas is 4"),
        (of_job(placement__cpus_per_worker=3), {}, "3 CPUs .*group cpu with 2 CPUs"),
        (of_space("dropout", placement__concurrency=9), {}, "concurrency=9 .*maxReplicas is 4"),
        (of_space("dropout", placement__workers=9), {}, "9 workers .*maxReplicas is 4"),
        (of_job(), {"workerGroups": {"cpu": {"enabled": False}}}, "no group of workers is enabled"),
        (
            of_job(placement__gpus_per_worker=2),
            {"workerGroups": {"gpu": {"resources": {"limits": {"nvidia.com/gpu": None}}}}},
            "gpus_per_worker=2.0: no group has 2 GPUs",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_both_sides(
    asked: Asked, layer: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        planned(asked, layer)


@pytest.mark.parametrize(
    ("limits", "counted", "cpus", "gpus"),
    [
        ({"cpu": "500m"}, {}, 1, 0),
        ({"cpu": "8", "nvidia.com/gpu": "2"}, {}, 8, 2),
        ({"cpu": "8", "nvidia.com/mig-1g.10gb": "3"}, {}, 8, 3),
        ({"cpu": "8", "amd.com/gpu": "1"}, {"CPU": "4"}, 4, 1),
        ({"cpu": "8", "nvidia.com/mig-1g.10gb.me": "1"}, {"GPU": "1"}, 8, 1),
    ],
)
def test_a_pod_is_counted_as_ray_counts_it(
    limits: dict[str, str], counted: dict[str, str], cpus: float, gpus: float
) -> None:
    layer = group(limits, rayResources=counted)
    layer["workerGroups"]["cpu"]["resources"]["limits"].setdefault("memory", "1Gi")
    pod = pod_of("cpu", complete(layer).worker_groups["cpu"])
    assert (pod.cpus, pod.gpus) == (cpus, gpus)
    assert math.isclose(pod.holds(1, 0), cpus)


def test_the_job_is_named_resumed_and_charged_as_the_platform_says() -> None:
    prices = {"prices": {"cpuHour": 0.05, "gpuHour": 2.0}, "metrics": {"port": 9500}}
    found = planned(of_job(placement__cpu_hour_price=1.0), prices, number=2)
    job = found.values["job"]
    assert job["name"] == found.command.name and job["name"].endswith("-2")
    assert job["render"] is True and job["kind"] == "train"
    title = {TITLE: "speednet-2", STORE: found.store}
    assert job["annotations"] == {ASKED: "cifar-dist submit", **title}
    assert job["entrypoint"].endswith(" --resume --metrics-port 9500")
    assert "placement.cpu_hour_price=1.0" in job["entrypoint"]
    assert "placement.gpu_hour_price=2.0" in job["entrypoint"]
    assert found.values["store"] == {"uri": found.store}


def test_a_budget_of_money_takes_the_platforms_prices_and_is_refused_without() -> None:
    asked = replace(of_space("dropout", "--max-cost", "5"), resolved={"budget": {"cost": 5.0}})
    priced = planned(asked, {"prices": {"cpuHour": 0.05}})
    assert "--max-cost 5 " in priced.command.line
    with pytest.raises(ConfigError, match="nothing has a price here"):
        planned(asked)


def test_a_text_is_not_filled_in_by_kubernetes(tmp_path: Any) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("name: mine # $(HOME) $$5 $x\n")
    job = planned(of_job(str(path))).values["job"]
    assert job["env"] == {"CIFAR_DIST_JOB": "name: mine # $$(HOME) $$$$5 $$x\n"}
