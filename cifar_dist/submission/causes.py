"""Why a submitted job is not running yet: one line for each cause, with its remedy."""

import re
from collections.abc import Iterable, Iterator, Sequence

from cifar_dist.submission.observed import (
    QUEUE_LABEL,
    Object,
    age_seconds,
    dig,
    head_of,
    is_ready,
    items,
    line,
    name_of,
    node_type,
    number,
    state,
    text,
    workers_of,
)
from cifar_dist.submission.scheduling import refusals

_WAIT = "wait-gcs-ready"  # the operator's init container of a worker
_WAIT_SECONDS = 60.0  # in which it finds a head that is ready, on a busy node
_OFTEN = 2  # failed mounts before they are told: the first may only be early

# Why an object was refused as it was to be made: a pattern, what it means, what to do.
_REFUSED = (
    (
        r'violates PodSecurity "([^":]+)[^"]*": (.+)',
        "Pod Security '{0}' refuses the pod: {1}",
        "use the chart's security contexts, or HTTPMode, which adds no container without one",
    ),
    (
        r"exceeded quota: ([^,]+), requested: (.+?), used: (.+?), limited: (.+)",
        "quota {0} is used up (asked {1}, used {2}, limit {3})",
        "wait for other jobs, ask for less or have the quota raised",
    ),
    (
        r"failed quota: ([^:]+): must specify (.+?)(?: for: .+)?$",
        "quota {0} wants {1} of each container",
        "set them in the group's resources",
    ),
    (
        r"(m(?:in|ax)imum (?:cpu|memory|[\w./-]+) usage per (?:Container|Pod) is [^,.]+)",
        "a LimitRange refuses the pod: {0}",
        "change the group's resources",
    ),
    (
        r"(?i:serviceaccounts?) [\"']?([\w./-]+?)[\"']? (?:is )?not found",
        "ServiceAccount {0} does not exist",
        "install the platform into this namespace with `make deploy`",
    ),
    (
        r"no PriorityClass with name (\S+) was found",
        "PriorityClass {0} does not exist",
        "create it or empty priorityClassName",
    ),
    (
        r"RuntimeClass [\"']?([\w.-]+?)[\"']? not found",
        "RuntimeClass {0} does not exist",
        "create it or take it out of the group",
    ),
    (
        r'admission webhook "([^"]+)" denied the request: (.+)',
        "admission webhook {0} refuses it: {1}",
        "change what it names, or ask who runs it",
    ),
    (
        r'failed calling webhook "([^"]+)"',
        "admission webhook {0} does not answer",
        "its service must run before pods can be made",
    ),
    (
        r'secrets? "([^"]+)" not found',
        "Secret {0} does not exist",
        "create it in this namespace; `make deploy` makes the token's",
    ),
    (
        r'configmaps? "([^"]+)" not found',
        "ConfigMap {0} does not exist",
        "create it in this namespace",
    ),
)
_PATTERNS = [(re.compile(pattern), meaning, remedy) for pattern, meaning, remedy in _REFUSED]
_PULL = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
_PLACING = {"FailedScheduling", "TriggeredScaleUp", "NotTriggerScaleUp"}
_SILENT = {"Failed", "BackOff", "Unhealthy", "Preempted", "Killing", "DNSConfigForming"}


def why_pending(
    job: Object, pods: Sequence[Object], events: Sequence[Object], nodes: Sequence[Object] = ()
) -> list[str]:
    """Explain what keeps a RayJob from running, as far as its pods and events tell.

    `nodes` may be empty: reading them is a right that not everybody has.
    """
    found = [*_of_job(job, events), *_of_events(pods, events, nodes)]
    for pod in pods:
        found += [f"{role(pod)}: {cause}" for cause in _of_pod(pod, pods)]
    return [line(each) for each in dict.fromkeys(found)]


def role(pod: Object) -> str:
    """Name a pod by what it does: the head, or a worker of its group."""
    group = text(pod, "metadata", "labels", "ray.io/group")
    return "head" if node_type(pod) == "head" else f"worker of {group or 'a group'}"


def _of_job(job: Object, events: Sequence[Object]) -> Iterator[str]:
    queue = text(job, "metadata", "labels", QUEUE_LABEL)
    stands = state(job)
    if stands == "suspended" and queue:
        yield f"it waits in queue {queue}; see `kubectl get workloads,localqueue {queue}`"
    elif stands == "suspended":
        yield "it is suspended; set spec.suspend to false to let it run"
    elif stands == "waiting" and not text(job, "status", "jobDeploymentStatus") and not events:
        yield (
            "no operator has taken it up; KubeRay must run and watch this namespace "
            "(`kubectl get pods -A -l app.kubernetes.io/name=kuberay-operator`)"
        )
    if stands in ("starting", "running") and dig(job, "status", "jobStatusCheckFailureStartTime"):
        yield (
            "the operator cannot reach the head's port 8265; a NetworkPolicy must allow its "
            "namespace, and after 300 s the job fails"
        )


def _of_events(
    pods: Sequence[Object], events: Sequence[Object], nodes: Sequence[Object]
) -> Iterator[str]:
    by_name = {name_of(pod): pod for pod in pods}
    for event in sorted(events, key=_when):
        about = dig(event, "involvedObject") or dig(event, "regarding") or {}
        if text(about, "kind") == "Pod":
            pod = by_name.get(text(about, "name"))
            if pod is not None and not is_ready(pod):
                yield from (f"{role(pod)}: {cause}" for cause in _of_pod_event(event, pod, nodes))
        else:
            yield from _of_owner_event(event, pods)


def _when(event: Object) -> str:
    return text(event, "lastTimestamp") or text(event, "eventTime")


def _of_pod_event(event: Object, pod: Object, nodes: Sequence[Object]) -> Iterator[str]:
    kind, said = text(event, "reason"), _message(event)
    if kind in _PLACING:
        if not text(pod, "spec", "nodeName"):
            yield from _of_placing(kind, said, pod, nodes)
    elif kind == "FailedMount" and number(event, "count") < _OFTEN:
        return
    elif kind == "FailedCreatePodSandBox":
        yield f"its network cannot be set up; the node's CNI says: {said}"
    elif text(event, "type") == "Warning" and kind not in _SILENT:
        yield _meaning(said) or f"{kind}: {said}"


def _of_placing(kind: str, said: str, pod: Object, nodes: Sequence[Object]) -> Iterator[str]:
    if kind == "FailedScheduling":
        yield from list(refusals(said, pod, nodes)) or [f"no node takes it: {said}"]
    elif kind == "TriggeredScaleUp":
        yield "a node is being added for it, which takes minutes"
    else:
        yield f"the cluster's autoscaler adds no node: {said}"


def _of_owner_event(event: Object, pods: Sequence[Object]) -> Iterator[str]:
    """Explain what the operator said of a RayJob or RayCluster, unless it came right since."""
    kind = text(event, "reason")
    if text(event, "type") != "Warning" or (kind == "FailedToCreateHeadPod" and head_of(pods)):
        return
    if kind == "FailedToCreateWorkerPod" and any(map(is_ready, workers_of(pods))):
        return
    said = _message(event)
    yield _meaning(said) or f"{kind}: {said}"


def _message(event: Object) -> str:
    return " ".join((text(event, "message") or text(event, "note")).split())


def _meaning(said: str) -> str | None:
    for pattern, meaning, remedy in _PATTERNS:
        if found := pattern.search(said):
            return f"{meaning.format(*found.groups())}; {remedy}"
    return None


def _of_pod(pod: Object, pods: Sequence[Object]) -> Iterator[str]:
    if text(pod, "status", "reason") == "Evicted":
        why = text(pod, "status", "message")
        yield f"evicted: {why} Give its group more of that, or a larger tmp and limits"
    if text(pod, "status", "reason") in ("NodeLost", "NodeShutdown", "Shutdown", "Terminated"):
        yield "its node went away; another pod takes its place"
    initial = items(pod, "status", "initContainerStatuses")
    for status in initial + items(pod, "status", "containerStatuses"):
        yield from _of_container(status)
    head = head_of(pods)
    is_waiting = any(each.get("name") == _WAIT and _runs_long(each) for each in initial)
    if is_waiting and head is not None and is_ready(head):
        yield (
            f"{_WAIT} does not reach the head, which is ready; check that DNS works and that "
            "NetworkPolicies allow worker to head on all ports and UDP and TCP 53"
        )


def _runs_long(status: Object) -> bool:
    since = age_seconds(text(status, "state", "running", "startedAt"))
    return _is_running(status) and (since is None or since > _WAIT_SECONDS)


def _is_running(status: Object) -> bool:
    return dig(status, "state", "running") is not None


def _of_container(status: Object) -> Iterator[str]:
    waiting = dig(status, "state", "waiting")
    reason, said = text(waiting, "reason"), text(waiting, "message")
    if reason in _PULL:
        yield _pull(reason, said, text(status, "image"))
    elif reason in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError"):
        yield _meaning(said) or f"{reason}: {said}; look at the group's environment and mounts"
    ended = _ended(status)
    name = text(status, "name")
    if text(ended, "reason") == "OOMKilled":
        yield f"{name} ran out of memory (OOMKilled); raise its memory limit or lower the work"
    elif reason == "CrashLoopBackOff":
        code = number(ended, "exitCode")
        yield f"{name} ends again and again, last with exit code {code}; see `kubectl logs -p`"


def _ended(status: Object) -> Object:
    return dig(status, "state", "terminated") or dig(status, "lastState", "terminated") or {}


def _pull(reason: str, said: str, image: str) -> str:
    if reason == "InvalidImageName":
        return f"'{image}' is no name of an image; correct image.repository, tag and digest"
    if reason == "ErrImageNeverPull":
        return f"image {image} is not on the node and pullPolicy is Never; load it there"
    lowered = said.lower()
    if any(word in lowered for word in ("unauthorized", "denied", "authentication", "forbidden")):
        remedy = "it may not be pulled; name a pull secret in image.pullSecrets"
    elif "not found" in lowered or "manifest unknown" in lowered:
        remedy = "it does not exist there; correct image.repository, tag or digest, or push it"
    elif any(word in lowered for word in ("no such host", "timeout", "refused", "unreachable")):
        remedy = "its registry cannot be reached from the node; mirror it or open the way"
    elif "no space left" in lowered:
        remedy = "the node's disk is full; free it or use larger disks"
    else:
        remedy = f"see `kubectl describe pod`: {said or reason}"
    return f"image {image} cannot be pulled: {remedy}"


def worth_asking(job: Object, pods: Iterable[Object]) -> bool:
    """Tell whether something waits, so that events may say why."""
    if state(job) in ("waiting", "starting", "retrying"):
        return True
    seen = list(pods)
    wanted = number(job, "status", "rayClusterStatus", "desiredWorkerReplicas")
    ready = sum(map(is_ready, workers_of(seen)))
    return ready < max(wanted, len(workers_of(seen))) or head_of(seen) is None
