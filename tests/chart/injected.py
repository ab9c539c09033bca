"""The pods that objects become, with the containers the KubeRay operator adds to them.

Source: KubeRay 1.7, controllers/ray/common/pod.go and job.go.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

Object = dict[str, Any]
AUTOSCALER = {
    "name": "autoscaler",
    "imagePullPolicy": "IfNotPresent",
    "command": ["/bin/bash", "-c", "--"],
    "resources": {
        "limits": {"cpu": "500m", "memory": "512Mi"},
        "requests": {"cpu": "500m", "memory": "512Mi"},
    },
}
WAITING = {"cpu": "200m", "memory": "256Mi"}


def pods(thing: Object) -> Iterator[tuple[str, Object]]:
    """Give all pods that an object leads to, each with a name for messages."""
    kind, spec = thing["kind"], thing.get("spec") or {}
    name = f"{kind}/{thing['metadata']['name']}"
    if kind == "Pod":
        yield name, _pod(thing)
    elif kind in {"Deployment", "DaemonSet", "StatefulSet", "Job", "ReplicaSet"}:
        yield name, _pod(spec["template"])
    elif kind == "CronJob":
        yield name, _pod(spec["jobTemplate"]["spec"]["template"])
    elif kind == "RayCluster":
        yield from _cluster(name, spec)
    elif kind == "RayJob":
        yield from _job(name, spec)
    elif kind == "RayCronJob":
        yield from _job(name, spec["jobTemplate"])


def _pod(template: Object) -> Object:
    metadata = {**(template.get("metadata") or {}), "name": "pod"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def _job(name: str, spec: Object) -> Iterator[tuple[str, Object]]:
    mode = spec.get("submissionMode") or "K8sJobMode"
    cluster = deepcopy(spec["rayClusterSpec"])
    head = cluster["headGroupSpec"]["template"]["spec"]
    submitter = {"name": "ray-job-submitter", "image": head["containers"][0]["image"]}
    if mode == "SidecarMode":
        head["containers"].append(submitter)
    if mode == "K8sJobMode":
        default = {"spec": {"containers": [submitter], "restartPolicy": "Never"}}
        yield f"{name} submitter", _pod(spec.get("submitterPodTemplate") or default)
    yield from _cluster(name, cluster)


def _cluster(name: str, spec: Object) -> Iterator[tuple[str, Object]]:
    head = deepcopy(spec["headGroupSpec"]["template"])
    containers = head["spec"]["containers"]
    collector = (spec.get("historyServerOptions") or {}).get("collectorOptions")
    if collector:
        containers.append({"name": "collector", "image": collector.get("image", "")})
    if spec.get("enableInTreeAutoscaling"):
        containers.append(_autoscaler(spec, containers[0]))
        _add_volume(head, {"name": "ray-logs", "emptyDir": {}})
    yield f"{name} head", _pod(head)
    for group in spec.get("workerGroupSpecs") or []:
        worker = deepcopy(group["template"])
        worker["spec"].setdefault("initContainers", []).append(_waiting(worker))
        yield f"{name} {group['groupName']}", _pod(worker)


def _autoscaler(spec: Object, head: Object) -> Object:
    options = spec.get("autoscalerOptions") or {}
    names = (
        "image", "imagePullPolicy", "resources", "securityContext", "env", "envFrom",
        "volumeMounts", "command", "args",
    )  # fmt: skip
    own = {name: options[name] for name in names if options.get(name)}
    mounts = [*own.get("volumeMounts", []), {"name": "ray-logs", "mountPath": "/tmp/ray"}]
    return {**AUTOSCALER, "image": head["image"], **own, "volumeMounts": mounts}


def _waiting(worker: Object) -> Object:
    container = worker["spec"]["containers"][0]
    copied = {
        name: deepcopy(container[name])
        for name in ("image", "imagePullPolicy", "securityContext", "env", "volumeMounts")
        if name in container
    }
    resources = {"limits": WAITING, "requests": WAITING}
    return {"name": "wait-gcs-ready", **copied, "resources": resources}


def _add_volume(template: Object, volume: Object) -> None:
    volumes = template["spec"].setdefault("volumes", [])
    if volume["name"] not in {other["name"] for other in volumes}:
        volumes.append(volume)
