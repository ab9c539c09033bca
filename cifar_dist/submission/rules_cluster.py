"""What KubeRay's operator refuses of a cluster's specification; `rules` says of which version."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cifar_dist.submission import rules_features

_V2 = "RAY_enable_autoscaler_v2"
_REDIS = "RAY_REDIS_ADDRESS"
_START = "KUBERAY_GEN_AUTOSCALER_START_CMD"
_RESOURCES = ("num-cpus", "num-gpus", "memory", "resources")
_VERSION = re.compile(r"\s*v?(?P<numbers>(0|[1-9][0-9]*)(\.[0-9]+)+)")
_PART = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_PART_CHARACTERS, _DOMAIN_CHARACTERS = 63, 253
_TOKEN_SINCE, _KUBERNETES_TOKEN_SINCE, _PRIORITY_SINCE = (2, 52), (2, 55), (2, 56)


@dataclass(frozen=True)
class Operator:
    """Who validates."""

    gates: frozenset[str]
    """Feature gates that are open."""
    version: tuple[int, int]

    @property
    def is_old(self) -> bool:
        """Tell whether it does not know what came with 1.7."""
        return self.version < (1, 7)


def is_autoscaling(spec: Mapping[str, Any] | None) -> bool:
    """Tell whether a cluster has an autoscaler."""
    return bool(spec and spec.get("enableInTreeAutoscaling"))


def restarts(group: Mapping[str, Any]) -> bool:
    """Tell whether a group's pods would be restarted in place."""
    return _pod(group).get("restartPolicy") not in (None, "", "Never")


def refused(
    spec: Mapping[str, Any], annotations: Mapping[str, str], operator: Operator
) -> Iterator[str]:
    """List what is wrong with a cluster."""
    head = spec.get("headGroupSpec") or {}
    if not _containers(head):
        yield "headGroupSpec: needs a container"
        return
    yield from _group("headGroupSpec", head)
    for group in _workers(spec):
        yield from _worker_group(spec, group, operator)
    yield from _fault_tolerance(spec, annotations)
    yield from _autoscaler(spec, operator)
    yield from _authentication(spec)
    if "RayJobDeletionPolicy" not in operator.gates:
        for group in _workers(spec):
            if group.get("suspend"):
                yield f"{group.get('groupName')}: suspend needs the gate RayJobDeletionPolicy"
    if not operator.is_old:
        yield from rules_features.refused(spec, operator.gates)


def refused_upgrade(manifest: Mapping[str, Any]) -> Iterator[str]:
    """List what is wrong with the way in which a RayCluster of its own is changed."""
    kind = ((manifest.get("spec") or {}).get("upgradeStrategy") or {}).get("type")
    if kind is None:
        return
    if kind not in ("Recreate", "None"):
        yield f"upgradeStrategy.type: '{kind}' is neither Recreate nor None"
    labels = (manifest.get("metadata") or {}).get("labels") or {}
    if labels.get("ray.io/originated-from-crd") in ("RayJob", "RayService"):
        yield "upgradeStrategy: only for a RayCluster of its own"


def _group(name: str, group: Mapping[str, Any]) -> Iterator[str]:
    parameters = group.get("rayStartParams") or {}
    if group.get("resources") and any(parameters.get(key) for key in _RESOURCES):
        yield f"{name}: resources and rayStartParams both say what there is; keep one"
    if "labels" in parameters:
        yield f"{name}: rayStartParams.labels is not supported; set labels of the group"
    for key, value in (group.get("labels") or {}).items():
        if not (_is_key(str(key)) and _is_value(str(value))):
            yield f"{name}: label '{key}' or its value is not one of Kubernetes"


def _worker_group(
    spec: Mapping[str, Any], group: Mapping[str, Any], operator: Operator
) -> Iterator[str]:
    name = f"worker group {group.get('groupName')}"
    if not _containers(group):
        yield f"{name}: needs a container"
    least, most = group.get("minReplicas"), group.get("maxReplicas")
    if not is_autoscaling(spec) and (least is None or most is None):
        yield f"{name}: needs minReplicas and maxReplicas without autoscaling"
    if (least or 0) < 0 or (most or 0) < 0:
        yield f"{name}: minReplicas and maxReplicas must not be negative"
    if least is not None and most is not None and least > most:
        yield f"{name}: minReplicas={least} is more than maxReplicas={most}"
    yield from _group(name, group)
    idle = group.get("idleTimeoutSeconds")
    if idle is not None and idle < 0:
        yield f"{name}: idleTimeoutSeconds must not be negative"
    elif idle is not None and not _is_second(spec):
        yield f"{name}: idleTimeoutSeconds needs autoscalerOptions.version: v2"
    if group.get("priority") and not operator.is_old:
        yield from _priority(spec, name)


def _priority(spec: Mapping[str, Any], name: str) -> Iterator[str]:
    version = _numbers(spec.get("rayVersion"))
    if version is None or version < _PRIORITY_SINCE:
        yield f"{name}: priority needs rayVersion 2.56 or later"
    if not _is_second(spec):
        yield f"{name}: priority needs autoscalerOptions.version: v2"


def _fault_tolerance(spec: Mapping[str, Any], annotations: Mapping[str, str]) -> Iterator[str]:
    head = spec["headGroupSpec"]
    parameters, env = head.get("rayStartParams") or {}, _environment(head)
    if parameters.get("redis-username") or "REDIS_USERNAME" in env:
        yield "the user of Redis stands in gcsFaultToleranceOptions.redisUsername alone"
    if spec.get("gcsFaultToleranceOptions") is None:
        is_annotated = (annotations.get("ray.io/ft-enabled") or "").lower() == "true"
        if _REDIS in env and not is_annotated:
            yield f"{_REDIS}: needs gcsFaultToleranceOptions"
        return
    beside = [name for name in ("REDIS_PASSWORD", _REDIS) if name in env]
    beside += ["rayStartParams.redis-password"] if parameters.get("redis-password") else []
    known = ("ray.io/ft-enabled", "ray.io/external-storage-namespace")
    beside += [f"annotation {name}" for name in known if annotations.get(name)]
    for name in beside:
        yield f"{name}: not beside gcsFaultToleranceOptions, which says it"


def _autoscaler(spec: Mapping[str, Any], operator: Operator) -> Iterator[str]:
    env = _environment(spec["headGroupSpec"])
    options = spec.get("autoscalerOptions") or {}
    if (options.get("idleTimeoutSeconds") or 0) < 0:
        yield "autoscalerOptions.idleTimeoutSeconds: must not be negative"
    if not operator.is_old and _START in {entry.get("name") for entry in options.get("env") or ()}:
        yield f"autoscalerOptions.env: {_START} is the operator's own"
    if not is_autoscaling(spec) and env.get(_V2) in ("1", "true"):
        yield f"{_V2}: needs enableInTreeAutoscaling: true"
    if is_autoscaling(spec):
        if options.get("version") is not None and _V2 in env:
            yield f"{_V2}: not beside autoscalerOptions.version"
        yield from _scaled(spec, is_second=options.get("version") == "v2")


def _scaled(spec: Mapping[str, Any], *, is_second: bool) -> Iterator[str]:
    groups = {f"worker group {group.get('groupName')}": group for group in _workers(spec)}
    for name, group in groups.items():
        if group.get("suspend"):
            yield f"{name}: suspend not with autoscaling"
    for name, group in {"headGroupSpec": spec["headGroupSpec"], **groups}.items():
        if is_second and restarts(group):
            yield f"{name}: restartPolicy must be Never or unset with autoscaler v2"


def _authentication(spec: Mapping[str, Any]) -> Iterator[str]:
    options = spec.get("authOptions") or {}
    of_kubernetes = bool(options.get("enableK8sTokenAuth"))
    if options.get("mode") != "token":
        if of_kubernetes:
            yield "authOptions.enableK8sTokenAuth: needs mode: token"
        return
    version = _numbers(spec.get("rayVersion"))
    if version is None or version < _TOKEN_SINCE:
        yield "rayVersion: token authentication needs it, 2.52.0 or later"
    if of_kubernetes and (version is None or version < _KUBERNETES_TOKEN_SINCE):
        yield "rayVersion: authOptions.enableK8sTokenAuth needs 2.55.0 or later"
    if of_kubernetes and options.get("secretName"):
        yield "authOptions: enableK8sTokenAuth not with secretName"


def _is_second(spec: Mapping[str, Any]) -> bool:
    """Tell whether the second version of the autoscaler was chosen."""
    chosen = (spec.get("autoscalerOptions") or {}).get("version") == "v2"
    return chosen or _environment(spec["headGroupSpec"]).get(_V2) in ("1", "true")


def _workers(spec: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return spec.get("workerGroupSpecs") or ()


def _pod(group: Mapping[str, Any]) -> Mapping[str, Any]:
    return (group.get("template") or {}).get("spec") or {}


def _containers(group: Mapping[str, Any]) -> list[dict[str, Any]]:
    return _pod(group).get("containers") or []


def _environment(group: Mapping[str, Any]) -> dict[str, str]:
    """Give the variables of the container that runs Ray; one from elsewhere counts as empty."""
    entries = reversed(_containers(group)[0].get("env") or [])
    return {str(entry.get("name")): str(entry.get("value") or "") for entry in entries}


def _numbers(version: object) -> tuple[int, ...] | None:
    found = _VERSION.match(str(version or ""))
    return tuple(map(int, found["numbers"].split("."))) if found else None


def _is_key(key: str) -> bool:
    domain, slash, name = key.rpartition("/")
    if slash and not (_DOMAIN.fullmatch(domain) and len(domain) <= _DOMAIN_CHARACTERS):
        return False
    return len(name) <= _PART_CHARACTERS and _PART.fullmatch(name) is not None


def _is_value(value: str) -> bool:
    return not value or (len(value) <= _PART_CHARACTERS and _PART.fullmatch(value) is not None)
