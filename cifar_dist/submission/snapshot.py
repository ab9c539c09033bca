"""A submitted job as the cluster shows it at one moment: its RayJob, pods, events and nodes."""

from dataclasses import dataclass, field

from cifar_dist.submission.door import Door, ForbiddenError, NotFoundError
from cifar_dist.submission.observed import (
    KIND_LABEL,
    Object,
    checked,
    head_of,
    is_ready,
    items,
    name_of,
    number,
    text,
    uid_of,
    workers_of,
)

JOBS = "rayjobs.ray.io"
_PODS_ASKED = 3  # unready pods whose events are read: those of one group have the same reasons


@dataclass(frozen=True)
class Snapshot:
    """One look at a RayJob and at the pods of its present cluster."""

    job: Object
    pods: list[Object] = field(default_factory=list)

    @property
    def head(self) -> Object | None:
        """The newest head that is not being deleted."""
        return head_of(self.pods)

    @property
    def cluster(self) -> str:
        """Name of its RayCluster; empty before there is one."""
        return text(self.job, "status", "rayClusterName")

    @property
    def ready(self) -> int:
        """Workers that are ready."""
        return sum(map(is_ready, workers_of(self.pods)))

    @property
    def wanted(self) -> int:
        """Workers that there are to be now; an autoscaler changes it."""
        desired = number(self.job, "status", "rayClusterStatus", "desiredWorkerReplicas")
        return max(desired, len(workers_of(self.pods)))


def look(door: Door, name: str) -> Snapshot:
    """Read a RayJob and its pods. Raises NotFoundError without one, and as the door does."""
    try:
        job = door.json("get", JOBS, checked(name))
    except NotFoundError as error:
        raise NotFoundError(
            f"there is no job {name} here; `submit ls` lists what there is"
        ) from error
    cluster = text(job, "status", "rayClusterName")
    if not cluster:
        return Snapshot(job)
    return Snapshot(
        job, items(door.json("get", "pods", "-l", f"ray.io/cluster={cluster}"), "items")
    )


def listed(door: Door) -> list[Object]:
    """List the RayJobs that were submitted by this program."""
    return items(door.json("get", JOBS, "-l", KIND_LABEL), "items")


def events_of(door: Door, seen: Snapshot) -> list[Object]:
    """Read the events of a job, its cluster and some of its unready pods, a request for each."""
    unready = [pod for pod in seen.pods if not is_ready(pod)]
    uids = {seen.cluster: ""} if seen.cluster else {}
    uids |= {name_of(each): uid_of(each) for each in (seen.job, *unready[:_PODS_ASKED])}
    found: list[Object] = []
    for name, uid in uids.items():
        selector = f"involvedObject.name={name}"
        for event in items(door.json("get", "events", "--field-selector", selector), "items"):
            about = text(event, "involvedObject", "uid")
            if not (uid and about and about != uid):  # else of an older one of that name
                found.append(event)
    return found


def nodes_of(door: Door) -> list[Object]:
    """Read the cluster's nodes; empty for an account that may not."""
    try:
        return items(door.json("get", "nodes"), "items")
    except (ForbiddenError, NotFoundError):
        return []
