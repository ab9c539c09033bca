"""Why a submitted job waits: each cause in one line with its remedy, from recorded objects."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from cifar_dist.submission.causes import why_pending, worth_asking
from cifar_dist.submission.scheduling import quantity
from tests.submitted_jobs import NAME, Json, container, event, job, pod, running

WAITING = job("Initializing")
HEAD = pod("head", ready=True)
IMAGE = "registry.example.org/cifar-dist:1"
ASKS = [
    {"resources": {"limits": {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "1"}}},
    {"resources": {"requests": {"cpu": "500m"}}},
]


def pulled(reason: str, message: str = "", image: str = IMAGE) -> Json:
    """Make a worker whose image does not come."""
    waits = container(waiting={"reason": reason, "message": message}, image=image)
    return pod(containerStatuses=[waits])


# A pod by itself, and a part of what is said of it.
PODS: list[tuple[Json, str]] = [
    (pulled("ImagePullBackOff", f'failed to resolve "{IMAGE}": not found'), "push it"),
    (pulled("ErrImagePull", "manifest unknown"), "correct image.repository"),
    (pulled("ErrImagePull", "pull access denied, repository may require authorization"),
     "image.pullSecrets"),
    (pulled("ErrImagePull", "401 Unauthorized"), "image.pullSecrets"),
    (pulled("ErrImagePull", "dial tcp: lookup registry.example.org: no such host"), "mirror it"),
    (pulled("ErrImagePull", "write /var/lib/x: no space left on device"), "disk is full"),
    (pulled("ErrImagePull", "strange"), "kubectl describe pod"),
    (pulled("InvalidImageName", "invalid reference format", "a b"), "no name of an image"),
    (pulled("ErrImageNeverPull"), "pullPolicy is Never"),
    (pulled("CreateContainerConfigError", 'secret "s3-keys" not found'), "Secret s3-keys does not"),
    (pulled("CreateContainerConfigError", 'configmap "platform" not found'), "ConfigMap platform"),
    (pulled("CreateContainerConfigError", "couldn't find key auth_token in Secret"), "auth_token"),
    (pod(containerStatuses=[container(terminated={"reason": "OOMKilled", "exitCode": 137})]),
     "memory limit"),
    (pod(containerStatuses=[container(
        waiting={"reason": "CrashLoopBackOff"}, last={"terminated": {"reason": "OOMKilled"}})]),
     "out of memory"),
    (pod(containerStatuses=[container(
        waiting={"reason": "CrashLoopBackOff"}, last={"terminated": {"exitCode": 2}})]),
     "last with exit code 2"),
    (pod(reason="Evicted", message="The node was low on resource: ephemeral-storage."),
     "evicted: The node was low on resource: ephemeral-storage"),
    (pod(reason="NodeLost"), "its node went away"),
]  # fmt: skip

# What the scheduler says of a head, and a part of each line made from it.
UNPLACED: list[tuple[str, list[str]]] = [
    ("0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No "
     "preemption victims found for incoming pod.", ["enough cpu free (it asks for 8.5"]),
    ("0/3 nodes are available: 3 Insufficient memory.", ["it asks for 32.0 GiB"]),
    ("0/2 nodes are available: 2 Insufficient nvidia.com/gpu.", ["enough nvidia.com/gpu free"]),
    ("0/1 nodes are available: 1 Too many pods.", ["as many pods as they may"]),
    ("0/5 nodes are available: 1 Insufficient cpu, 4 node(s) had untolerated taint "
     "{nvidia.com/gpu: }.", ["enough cpu", "taint nvidia.com/gpu; add a toleration"]),
    ("0/5 nodes are available: 5 node(s) had untolerated taint(s).", ["add tolerations"]),
    ("0/1 nodes are available: 1 node(s) had untolerated taint "
     "{node.kubernetes.io/disk-pressure: }.", ["not healthy"]),
    ("0/4 nodes are available: 4 node(s) didn't match Pod's node affinity/selector.",
     ["nodeSelector or affinity"]),
    ("0/4 nodes are available: 4 node(s) didn't match pod anti-affinity rules.", ["spread: false"]),
    ("0/4 nodes are available: 4 node(s) didn't match pod topology spread constraints.",
     ["topologySpreadConstraints"]),
    ("0/4 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
     ["storage class that exists"]),
    ('0/4 nodes are available: persistentvolumeclaim "cache" not found.', ["cache does not exist"]),
    ("0/4 nodes are available: 4 node(s) had volume node affinity conflict.",
     ["WaitForFirstConsumer"]),
    ("0/1 nodes are available: 1 node(s) were unschedulable.", ["kubectl uncordon"]),
    ("no nodes available to schedule pods", ["the cluster has no node"]),
    ("something new", ["no node takes it: something new"]),
]  # fmt: skip

# What the operator could not create, by its event's reason and message.
REFUSED: list[tuple[str, str, str]] = [
    ("FailedToCreateHeadPod",
     'Failed to create head Pod ns/x, pods "x" is forbidden: violates PodSecurity '
     '"restricted:latest": allowPrivilegeEscalation != false (container "ray-job-submitter" must '
     "set it)", "Pod Security 'restricted' refuses the pod: allowPrivilegeEscalation"),
    ("FailedToCreateWorkerPod",
     'Failed to create worker Pod for the cluster ns/x, pods "x" is forbidden: exceeded quota: '
     "team, requested: limits.cpu=8, used: limits.cpu=12, limited: limits.cpu=16",
     "quota team is used up (asked limits.cpu=8, used limits.cpu=12, limit limits.cpu=16)"),
    ("FailedToCreateHeadPod", "pods x is forbidden: failed quota: team: must specify limits.cpu "
     "for: autoscaler", "quota team wants limits.cpu of each container"),
    ("FailedToCreateHeadPod", "pods x is forbidden: maximum cpu usage per Container is 4, but "
     "limit is 8", "a LimitRange refuses the pod: maximum cpu usage per Container is 4"),
    ("FailedToCreateHeadPod", 'pods "x" is forbidden: error looking up service account ns/cd-head: '
     'serviceaccount "cd-head" not found', "ServiceAccount cd-head does not exist"),
    ("FailedToCreateHeadPod", "no PriorityClass with name gold was found", "PriorityClass gold"),
    ("FailedToCreateHeadPod", 'pod rejected: RuntimeClass "nvidia" not found', "RuntimeClass nvi"),
    ("FailedToCreateHeadPod", 'admission webhook "policy.example.org" denied the request: no '
     "latest tag", "policy.example.org refuses it: no latest tag"),
    ("FailedToCreateRayCluster", 'Internal error occurred: failed calling webhook '
     '"mraycluster.kb.io": connect refused', "webhook mraycluster.kb.io does not answer"),
    ("InvalidRayClusterSpec", "ns/x: workerGroupSpec min > max", "InvalidRayClusterSpec: ns/x"),
    ("AutoscalerServiceAccountNotFound", "If users specify ServiceAccountName for the head Pod, "
     "they need to create one. However, ServiceAccount cd-head is not found. Please create one.",
     "ServiceAccount cd-head does not exist"),
]  # fmt: skip


def asked(*lines: str) -> str:
    found = "\n".join(lines)
    assert all(len(each) <= 300 and each.isprintable() for each in lines)
    return found


@pytest.mark.parametrize(("found", "words"), PODS)
def test_a_pod_tells_what_its_containers_wait_for(found: Json, words: str) -> None:
    lines = why_pending(WAITING, [pod("head"), found], [])
    assert words in asked(*lines)
    assert len(lines) == 1
    assert lines[0].startswith("worker of cpu: ")


@pytest.mark.parametrize(("message", "words"), UNPLACED)
def test_the_schedulers_sentence_becomes_a_line_for_each_reason(
    message: str, words: list[str]
) -> None:
    head = pod("head", containers=ASKS)
    lines = why_pending(WAITING, [head], [event("FailedScheduling", message, head)])
    assert len(lines) == len(words)
    assert all(each in line for each, line in zip(words, lines, strict=True)), lines
    assert asked(*lines)


@pytest.mark.parametrize(("reason", "message", "words"), REFUSED)
def test_what_could_not_be_created_is_told_with_the_rule(
    reason: str, message: str, words: str
) -> None:
    lines = why_pending(WAITING, [], [event(reason, message)])
    assert len(lines) == 1
    assert words in asked(*lines)


# Events of a pod by their reason and message.
OTHERS: list[tuple[str, str, dict[str, Any], str]] = [
    ("FailedMount", 'MountVolume.SetUp failed: secret "ca" not found', {"count": 4}, "Secret ca"),
    ("FailedCreatePodSandBox", "plugin type=bridge failed", {}, "CNI says: plugin"),
    ("TriggeredScaleUp", "pod triggered scale-up", {"type": "Normal"}, "takes minutes"),
    ("NotTriggerScaleUp", "max node group size", {"type": "Normal"}, "adds no node: max node"),
    ("FailedAttachVolume", "Multi-Attach error", {}, "FailedAttachVolume: Multi-Attach"),
]


@pytest.mark.parametrize(("reason", "message", "more", "words"), OTHERS)
def test_an_event_of_a_pod_says_what_its_status_does_not(
    reason: str, message: str, more: dict[str, Any], words: str
) -> None:
    worker = pod()
    lines = why_pending(WAITING, [worker], [event(reason, message, worker, **more)])
    assert words in asked(*lines)


def test_a_worker_that_cannot_reach_a_ready_head_points_at_dns_and_policies() -> None:
    waits = pod(initContainerStatuses=[_waiting_since("2026-01-01T00:00:00Z")])
    assert "UDP and TCP 53" in asked(*why_pending(WAITING, [HEAD, waits], []))
    assert why_pending(WAITING, [pod("head"), waits], []) == []
    young = pod(initContainerStatuses=[_waiting_since(datetime.now(UTC).isoformat())])
    assert why_pending(WAITING, [HEAD, young], []) == []


def _waiting_since(time: str) -> dict[str, Any]:
    return container("wait-gcs-ready", running={"startedAt": time})


def test_the_largest_node_tells_whether_waiting_helps() -> None:
    head = pod("head", containers=ASKS)
    said = event("FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.", head)
    small = [{"status": {"allocatable": {"cpu": "3920m"}}}]
    large = [{"status": {"allocatable": {"cpu": "16"}}}]
    assert "can ever give its cpu" in asked(*why_pending(WAITING, [head], [said], small))
    assert "offers 3.92" in asked(*why_pending(WAITING, [head], [said], small))
    assert "enough cpu free" in asked(*why_pending(WAITING, [head], [said], large))


def test_an_event_that_came_right_since_is_not_told() -> None:
    placed, gone = pod("head", node="node-1"), pod("worker", "gone")
    old = [
        event("FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.", placed),
        event("FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.", gone),
        event("FailedToCreateHeadPod", "no PriorityClass with name gold was found"),
        event("FailedMount", 'secret "ca" not found', placed, count=1),
        event("BackOff", "Back-off pulling image", placed),
        event("Unhealthy", "Readiness probe failed", placed),
        event("Created", "Created container", placed, type="Normal"),
        event("CreatedHeadPod", "Created head Pod", type="Normal"),
    ]
    assert why_pending(WAITING, [placed], old) == []


def test_a_job_that_nobody_takes_up_points_at_the_operator() -> None:
    assert "no operator has taken it up" in asked(*why_pending(job(), [], []))
    refused = event("InvalidRayJobSpec", "ns/x: no entrypoint", NAME)
    assert asked(*why_pending(job(), [], [refused])) == "InvalidRayJobSpec: ns/x: no entrypoint"


def test_a_suspended_job_names_its_queue_or_how_to_go_on() -> None:
    queue = {"kueue.x-k8s.io/queue-name": "team"}
    held = {"suspend": True}
    assert "queue team" in asked(*why_pending(job("Suspended", labels=queue, spec=held), [], []))
    assert "spec.suspend" in asked(*why_pending(job("Suspended", spec=held), [], []))


def test_a_head_that_the_operator_cannot_reach_is_told_before_the_job_fails() -> None:
    silent = running(jobStatusCheckFailureStartTime="2026-11-22T01:03:00Z")
    assert "port 8265" in asked(*why_pending(silent, [HEAD], []))


def test_the_same_cause_of_many_workers_is_one_line() -> None:
    workers = [pulled("ImagePullBackOff", "not found") for _ in range(50)]
    assert len(why_pending(WAITING, workers, [])) == 1


def test_a_secret_in_a_message_is_not_repeated() -> None:
    said = 'admission webhook "w" denied the request: password=hunter2hunter2 \x1b[2J'
    lines = why_pending(WAITING, [], [event("FailedToCreateHeadPod", said)])
    assert "hunter2" not in asked(*lines)


def test_objects_of_another_shape_than_expected_break_nothing() -> None:
    odd: list[Json] = [{}, {"metadata": None, "status": []}, {"involvedObject": "x", "count": "y"}]
    assert why_pending({}, odd, odd) is not None


@pytest.mark.parametrize(
    ("found", "pods", "is_worth"),
    [
        (job("Initializing"), [HEAD], True),
        (running(), [HEAD, pod(ready=True)], False),
        (running(), [HEAD, pod()], True),
        (running(), [], True),
        (running(rayClusterStatus={"desiredWorkerReplicas": 2}), [HEAD, pod(ready=True)], True),
    ],
)
def test_events_are_asked_for_only_while_something_waits(
    found: Json, pods: list[Json], is_worth: bool
) -> None:
    assert worth_asking(found, pods) is is_worth


@pytest.mark.parametrize(
    ("written", "amount"),
    [("500m", "0.5"), ("8", "8"), ("1Ki", "1024"), ("2G", "2000000000"), ("1e3", "1000"),
     ("", "0"), ("x", "0"), ("1.5Gi", "1610612736")],
)  # fmt: skip
def test_a_quantity_is_read_as_kubernetes_reads_it(written: str, amount: str) -> None:
    assert quantity(written) == Decimal(amount)
