"""A run as values of the chart: its command, and as many pods of which group as it needs."""

import math
from dataclasses import dataclass
from typing import Any

from cifar_dist.config import Placement
from cifar_dist.errors import ConfigError
from cifar_dist.spending import Prices
from cifar_dist.submission.asked import Asked, Command, command
from cifar_dist.submission.pods import WorkerGroup
from cifar_dist.submission.scheduling import quantity
from cifar_dist.submission.values import Values

ASKED = "cifar-dist.io/asked"
TITLE, STORE = "cifar-dist.io/title", "cifar-dist.io/store"  # by which its results are found
_MIG = "nvidia.com/mig-"
_ROUNDING = 1e-6  # 0.3 / 0.1 is a little less than 3


@dataclass(frozen=True)
class Pod:
    """What Ray counts in one pod of a group."""

    group: str
    cpus: float
    gpus: float

    def holds(self, cpus: float, gpus: float) -> int:
        """Count the workers of this size that one pod has room for."""
        needs = ((self.cpus, cpus), (self.gpus, gpus))
        return min(int(there / needed + _ROUNDING) for there, needed in needs if needed)


@dataclass(frozen=True)
class Plan:
    """What is laid over the platform's values, and what the job becomes by it."""

    values: dict[str, Any]
    command: Command
    pods: tuple[int, int]
    """The fewest and the most pods of workers."""
    store: str
    data: str


def plan(asked: Asked, values: Values, line: str, number: int = 1) -> Plan:
    """Plan a run on a platform; `line` is the command line as typed.

    Raises ConfigError, with both sides named, for what the platform's groups cannot hold.
    """
    where = asked.located(values.store.uri, values.data.uri)
    placement = asked.job.placement
    if placement.workers == 0:
        raise ConfigError(
            "placement.workers=0 trains in the head, which has no room for it; ask for 1 or more"
        )
    pod, pods, changes = _placed(asked, values)
    name, fixed = pod.group, values.worker_groups[pod.group].replicas
    is_scaled = values.autoscaling.enabled and values.queue.type == "none"
    if asked.kind == "tune" and (fixed or not is_scaled):
        pods = (fixed or pods[1],) * 2
    changes |= {**where, **_prices(placement, values)}
    _check_priced(asked, changes)
    run = command(asked, changes, number, values.metrics.port)
    job = {
        "render": True,
        "name": run.name,
        "kind": asked.kind,
        "entrypoint": run.line,
        # Kubernetes puts variables in place of $(NAME), and $ in place of $$.
        "env": {key: text.replace("$", "$$") for key, text in run.environment.items()},
        "annotations": {ASKED: line, TITLE: run.title, STORE: where["store"]},
    }
    groups: dict[str, Any] = {key: {"enabled": key == name} for key in values.worker_groups}
    groups[name] |= _replicas(*pods)
    if asked.kind == "train":
        groups[name]["spread"] = True
    store, data = where["store"], where["recipe.data"]
    published = data if data.startswith("s3://") else ""  # synthetic images lie nowhere
    laid = {"store": {"uri": store}, "data": {"uri": published}, "job": job, "workerGroups": groups}
    return Plan(laid, run, pods, store, data)


def pod_of(name: str, group: WorkerGroup) -> Pod:
    """Count CPUs and GPUs as the operator and Ray do: a part of a CPU is a whole one."""
    has = {**group.resources.requests, **group.resources.limits}
    counted = group.ray_resources
    cpus = math.ceil(quantity(str(counted.get("CPU", has.get("cpu", 0)))))
    gpus = sum(float(quantity(str(n))) for key, n in group.resources.limits.items() if _is_gpu(key))
    return Pod(name, cpus, float(quantity(counted["GPU"])) if "GPU" in counted else gpus)


def _placed(asked: Asked, values: Values) -> tuple[Pod, tuple[int, int], dict[str, Any]]:
    """Take the first group that holds the work; raises what the first of all has against it."""
    placement = asked.job.placement
    place = _train if asked.kind == "train" else _tune
    refusals = []
    for pod in _candidates(placement, values):
        try:
            return pod, *place(placement, pod, values.worker_groups[pod.group])
        except ConfigError as error:
            refusals.append(error)
    raise refusals[0]


def _candidates(placement: Placement, values: Values) -> list[Pod]:
    """Choose groups: with GPUs if they are asked for, or if the platform enables such."""
    groups = values.worker_groups
    pods = [pod_of(name, group) for name, group in groups.items()]
    asked = placement.gpus_per_worker
    has_gpus = (
        asked > 0
        if asked is not None
        else any(pod.gpus > 0 for pod in pods if groups[pod.group].enabled)
    )
    fitting = [pod for pod in pods if (pod.gpus > 0) == has_gpus]
    enabled = [pod for pod in fitting if groups[pod.group].enabled]
    found = enabled if asked is None else enabled or fitting[:1]
    if not found:
        what = "no group of workers is enabled" if asked is None else f"no group has {asked:g} GPUs"
        raise ConfigError(
            f"placement.gpus_per_worker={asked}: {what}; add one to workerGroups in the "
            "platform's values"
        )
    return sorted(found, key=lambda pod: pod.gpus, reverse=True) if asked is None else found


def _train(
    placement: Placement, pod: Pod, group: WorkerGroup
) -> tuple[tuple[int, int], dict[str, Any]]:
    """Give a pod to each worker, unless a pod holds more of them."""
    workers = placement.workers or 1
    gpus = _gpus(placement, pod)
    cpus = placement.cpus_per_worker
    if cpus is None:
        beside = int(pod.gpus / gpus + _ROUNDING) if gpus else 1
        cpus = max(1, int(pod.cpus) // max(beside, 1))
    count = math.ceil(workers / _held(pod, cpus, gpus))
    if count > group.max_replicas:
        raise ConfigError(
            f"placement.workers={workers} needs {count} pods of group {pod.group}, whose "
            f"maxReplicas is {group.max_replicas}; lower --workers, or raise "
            f"workerGroups.{pod.group}.maxReplicas in the platform's values"
        )
    return (count, count), _changes(placement, workers, cpus, gpus)


def _tune(
    placement: Placement, pod: Pod, group: WorkerGroup
) -> tuple[tuple[int, int], dict[str, Any]]:
    """Let the group grow to what its trials at once need, or keep its fixed number."""
    gpus, cpus = _gpus(placement, pod), placement.cpus_per_worker or 1
    workers = placement.workers or 1
    held = _held(pod, cpus, gpus)
    there = group.replicas or group.max_replicas
    room = there * held // workers
    trials = placement.concurrency or max(room, 1)
    most = math.ceil(trials * workers / held)
    if most > there:
        bound = "replicas" if group.replicas else "maxReplicas"
        raise ConfigError(
            f"placement.concurrency={trials} with {workers} workers of {cpus:g} CPUs and {gpus:g} "
            f"GPUs each needs {most} pods of group {pod.group}, whose {bound} is {there}; lower "
            f"--concurrency, or raise workerGroups.{pod.group}.{bound} in the platform's values"
        )
    changes = {**_changes(placement, workers, cpus, gpus), "placement.concurrency": trials}
    return (min(group.min_replicas, most), most), changes


def _held(pod: Pod, cpus: float, gpus: float) -> int:
    held = pod.holds(cpus, gpus)
    if not held:
        raise ConfigError(
            f"a worker of {cpus:g} CPUs and {gpus:g} GPUs does not fit into a pod of group "
            f"{pod.group} with {pod.cpus:g} CPUs and {pod.gpus:g} GPUs; lower "
            f"placement.cpus_per_worker or placement.gpus_per_worker, or raise "
            f"workerGroups.{pod.group}.resources in the platform's values"
        )
    return held


def _gpus(placement: Placement, pod: Pod) -> float:
    if placement.gpus_per_worker is not None:
        return placement.gpus_per_worker
    return 1 if pod.gpus >= 1 else 0


def _changes(placement: Placement, workers: int, cpus: float, gpus: float) -> dict[str, Any]:
    """Say all that the cluster cannot be asked for before its pods are there."""
    changes: dict[str, Any] = {"placement.workers": workers}
    if placement.cpus_per_worker is None:
        changes["placement.cpus_per_worker"] = cpus
    if placement.gpus_per_worker is None and gpus:
        changes["placement.gpus_per_worker"] = gpus
    return changes


def _prices(placement: Placement, values: Values) -> dict[str, Any]:
    """Give the platform's prices where the job names none."""
    usual = {"cpu_hour_price": values.prices.cpu_hour, "gpu_hour_price": values.prices.gpu_hour}
    return {
        f"placement.{name}": price
        for name, price in usual.items()
        if price is not None and getattr(placement, name) is None
    }


def _check_priced(asked: Asked, changes: dict[str, Any]) -> None:
    own, names = asked.job.placement, ("cpu_hour_price", "gpu_hour_price")
    prices = [changes.get(f"placement.{name}", getattr(own, name)) for name in names]
    Prices(*prices).check_budget(asked.resolved.get("budget", {}).get("cost"))


def _replicas(least: int, most: int) -> dict[str, Any]:
    fixed = most if least == most else None
    return {"minReplicas": least, "maxReplicas": most, "replicas": fixed}


def _is_gpu(resource: str) -> bool:
    return resource.endswith("gpu") or resource.startswith(_MIG)
