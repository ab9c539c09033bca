"""What KubeRay's operator refuses of a RayJob or a RayCluster, known before it is sent.

The API server takes such an object, and the operator then only marks it as failed. Facts of
KubeRay 1.7 (its validation of RayJob and RayCluster) in our own words. Version 1.6 does not know
groups' `priority`, storage of GCS fault tolerance, `historyServerOptions`, `networkPolicy` and
`tlsOptions` of a cluster, which it drops, and takes the start command in the autoscaler's `env`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cifar_dist.config import parse_yaml
from cifar_dist.errors import ConfigError
from cifar_dist.submission import rules_cluster, rules_deletion
from cifar_dist.submission.rules_cluster import Operator

BETA_GATES = frozenset({"RayJobDeletionPolicy"})
"""Feature gates that are open unless an operator was told otherwise."""

_MODES = ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LONGEST = {"RayJob": 47, "RayCluster": 53}


def problems(
    manifest: Mapping[str, Any], gates: Iterable[str] = (), version: tuple[int, int] = (1, 7)
) -> list[str]:
    """List what an operator of this version refuses; empty if it takes the object.

    `gates` are further feature gates that are open there; "-Name" stands for a closed one.
    """
    named = set(gates)
    is_open = (BETA_GATES | named) - {gate.removeprefix("-") for gate in named if gate[:1] == "-"}
    operator = Operator(is_open, version)
    found = list(_name(manifest))
    if manifest.get("kind") == "RayJob":
        found += _job(manifest, operator)
    else:
        found += rules_cluster.refused(manifest.get("spec") or {}, _annotations(manifest), operator)
        found += rules_cluster.refused_upgrade(manifest)
    return found


def dangers(manifest: Mapping[str, Any]) -> list[str]:
    """List what an operator takes of a RayJob and what then goes wrong all the same."""
    spec = manifest.get("spec") or {}
    cluster = spec.get("rayClusterSpec") or {}
    found = []
    mode = spec.get("submissionMode")
    if mode is not None and mode not in _MODES:
        found.append(f"submissionMode '{mode}' is none of {', '.join(_MODES)}")
    if (cluster.get("authOptions") or {}).get("mode") != "token":
        found.append("authOptions.mode is not 'token', so the cluster lets anybody in")
    if not spec.get("preRunningDeadlineSeconds"):
        found.append("preRunningDeadlineSeconds is not set: pods that cannot start wait for ever")
    return found


def _name(manifest: Mapping[str, Any]) -> Iterator[str]:
    kind = str(manifest.get("kind"))
    name = str((manifest.get("metadata") or {}).get("name") or "")
    longest = _LONGEST.get(kind, 53)
    if len(name) > longest:
        yield f"metadata.name: {len(name)} characters; a {kind} has at most {longest}"
    if not _LABEL.fullmatch(name):
        yield "metadata.name: must be a-z, 0-9 and '-', begin with a letter and not end with '-'"


def _job(manifest: Mapping[str, Any], operator: Operator) -> Iterator[str]:
    spec = manifest.get("spec") or {}
    yield from rules_deletion.refused(spec, operator)
    yield from _suspension(spec)
    if spec.get("clusterSelector"):
        yield from _selector(spec)
    elif spec.get("rayClusterSpec") is None:
        yield "rayClusterSpec: one of it and clusterSelector must be set"
    yield from _mode(spec)
    yield from _numbers(spec)
    yield from _runtime_environment(spec)
    cluster = spec.get("rayClusterSpec")
    if cluster is not None:
        if (cluster.get("authOptions") or {}).get("enableK8sTokenAuth"):
            yield "authOptions.enableK8sTokenAuth: a RayJob cannot have it"
        yield from rules_cluster.refused(cluster, _annotations(manifest), operator)


def _suspension(spec: Mapping[str, Any]) -> Iterator[str]:
    if not spec.get("suspend"):
        return
    if not spec.get("shutdownAfterJobFinishes"):
        yield "suspend: needs shutdownAfterJobFinishes: true"
    if spec.get("clusterSelector"):
        yield "suspend: not with clusterSelector"


def _selector(spec: Mapping[str, Any]) -> Iterator[str]:
    if not spec["clusterSelector"].get("ray.io/cluster"):
        yield "clusterSelector: must name the cluster as ray.io/cluster"
    if spec.get("submissionMode") == "SidecarMode":
        yield "clusterSelector: not with SidecarMode"
    if (spec.get("backoffLimit") or 0) > 0:
        yield "backoffLimit: not with clusterSelector"


def _mode(spec: Mapping[str, Any]) -> Iterator[str]:
    mode = spec.get("submissionMode")
    if mode == "InteractiveMode" and (spec.get("backoffLimit") or 0) > 0:
        yield "backoffLimit: not with InteractiveMode"
    if mode != "SidecarMode":
        return
    for field in ("submitterPodTemplate", "submitterConfig"):
        if spec.get(field) is not None:
            yield f"{field}: not with SidecarMode"
    head = (spec.get("rayClusterSpec") or {}).get("headGroupSpec") or {}
    if rules_cluster.restarts(head):
        yield "headGroupSpec: restartPolicy must be Never or unset with SidecarMode"


def _numbers(spec: Mapping[str, Any]) -> Iterator[str]:
    for field in ("activeDeadlineSeconds", "preRunningDeadlineSeconds"):
        if spec.get(field) is not None and spec[field] <= 0:
            yield f"{field}: must be at least 1"
    if (spec.get("backoffLimit") or 0) < 0:
        yield "backoffLimit: must not be negative"


def _runtime_environment(spec: Mapping[str, Any]) -> Iterator[str]:
    try:
        parsed = parse_yaml(spec.get("runtimeEnvYAML") or "", "runtimeEnvYAML")
    except ConfigError as error:
        yield str(error)
        return
    if not isinstance(parsed, dict | None):
        yield "runtimeEnvYAML: must be a YAML mapping"


def _annotations(manifest: Mapping[str, Any]) -> Mapping[str, str]:
    return (manifest.get("metadata") or {}).get("annotations") or {}
