"""RayJobs, pods and events as an API server gives them, and a door that plays them back."""

from collections.abc import Sequence
from typing import Any

from cifar_dist.errors import CifarDistError

NAME = "quickstart-1a2b3c4d"
CLUSTER = f"{NAME}-x7k2p"
Json = dict[str, Any]


def job(deployed: str = "", state: str = "", /, **more: Any) -> Json:
    """Make a RayJob with a status; `more` are other fields of it, `labels` and `spec`."""
    labels = {"cifar-dist.io/kind": "tune", "cifar-dist.io/run": "quickstart-99"}
    labels |= more.pop("labels", {})
    found = {"jobDeploymentStatus": deployed, "jobStatus": state, **more.pop("status", {})}
    if deployed:
        found = {"rayClusterName": CLUSTER, "jobId": f"{NAME}-j1", **found}
    spec = {"backoffLimit": 0, **more.pop("spec", {})}
    since = "2026-11-22T01:00:00Z"
    metadata = {"name": NAME, "labels": labels, "creationTimestamp": since, **more}
    return {
        "metadata": metadata,
        "spec": spec,
        "status": {key: value for key, value in found.items() if value not in ("", None)},
    }


def running(**status: Any) -> Json:
    """Make a RayJob whose driver runs."""
    info = {"startTime": "2026-11-22T01:01:00Z"}
    return job("Running", "RUNNING", status={"rayJobInfo": info, **status})


def failed(reason: str, message: str = "", **more: Any) -> Json:
    """Make a RayJob that the operator calls failed."""
    return job("Failed", "FAILED", status={"reason": reason, "message": message}, **more)


def pod(kind: str = "worker", name: str = "", *, ready: bool = False, **status: Any) -> Json:
    """Make a pod of the job's cluster; `node` places it, all else is its status."""
    node = status.pop("node", "node-1" if ready else "")
    deleted = status.pop("deleted", "")
    containers = status.pop("containers", [])
    group = "headgroup" if kind == "head" else "cpu"
    metadata = {
        "name": name or f"{CLUSTER}-{kind}-abcde",
        "uid": f"uid-{name or kind}",
        "labels": {"ray.io/node-type": kind, "ray.io/group": group},
        "creationTimestamp": "2026-11-22T01:00:05Z",
    }
    if deleted:
        metadata["deletionTimestamp"] = deleted
    condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "lastTransitionTime": "2026-11-22T01:00:20Z",
    }
    spec: Json = {"containers": containers}
    if node:
        spec["nodeName"] = node
    return {"metadata": metadata, "spec": spec, "status": {"conditions": [condition], **status}}


def container(name: str = "ray-worker", **state: Any) -> Json:
    """Make a container's status; `waiting`, `running` or `terminated`, `last` and `image`."""
    image = state.pop("image", "registry.example.org/cifar-dist:1")
    last = state.pop("last", {})
    return {"name": name, "image": image, "state": state, "lastState": last}


def event(reason: str, message: str, about: Json | str = CLUSTER, **more: Any) -> Json:
    """Make a warning about a pod, or about the cluster or job of a name."""
    is_pod = not isinstance(about, str)
    name = about["metadata"]["name"] if is_pod else about
    kind = "Pod" if is_pod else "RayCluster"
    involved = {"kind": kind, "name": name}
    return {
        "type": "Warning",
        "reason": reason,
        "message": message,
        "involvedObject": involved,
        "lastTimestamp": "2026-11-22T01:00:09Z",
        **more,
    }


class Moment:
    """What the API server shows at one look."""

    def __init__(self, job: Json | CifarDistError, pods: Sequence[Json] = (), **more: Any) -> None:
        self.job, self.pods = job, list(pods)
        self.events: list[Json] = more.get("events", [])
        self.log: str = more.get("log", "")


class Played:
    """A door that shows one moment after the other, the last for ever, and records requests."""

    def __init__(self, *moments: Moment, refused: dict[str, CifarDistError] | None = None) -> None:
        self.namespace = "cifar-dist"
        self.moments = list(moments)
        self.asked: list[str] = []
        self._refused = refused or {}
        self._now = moments[0]

    def json(self, *arguments: str) -> Json:
        """Show an object or a list of the present moment; a RayJob is the next one's."""
        self.asked.append(" ".join(arguments))
        self._refuse(arguments[0])
        if arguments[1] == "rayjobs.ray.io":
            return self._job(arguments)
        if arguments[1] == "pods":
            return {"items": self._now.pods}
        if arguments[1] == "nodes":
            self._refuse("nodes")
            return {"items": []}
        name = arguments[-1].rpartition("=")[2]
        return {"items": [e for e in self._now.events if e["involvedObject"]["name"] == name]}

    def text(self, *arguments: str) -> str:
        """Show the log; to all else it is silent."""
        self.asked.append(" ".join(arguments))
        self._refuse(arguments[0])
        return self._now.log if arguments[0] == "logs" else ""

    def _job(self, arguments: tuple[str, ...]) -> Json:
        if "-l" in arguments:
            return {"items": [m.job for m in self.moments if not isinstance(m.job, Exception)]}
        self._now = self.moments.pop(0) if len(self.moments) > 1 else self.moments[0]
        if isinstance(self._now.job, CifarDistError):
            raise self._now.job
        return self._now.job

    def _refuse(self, verb: str) -> None:
        if verb in self._refused:
            raise self._refused[verb]


def no_sleep(_: float) -> None:
    """Wait no time at all."""
