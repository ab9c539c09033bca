"""Changes of a sound RayJob, each with what KubeRay's operator thinks of it."""

from typing import Any

OK = None  # in place of what a refusal says

_HEAD = "spec.rayClusterSpec.headGroupSpec"
_GROUP = "spec.rayClusterSpec.workerGroupSpecs.0"
_CLUSTER = "spec.rayClusterSpec"
_HEAD_ENV = f"{_HEAD}.template.spec.containers.0.env"
_RULES = "spec.deletionStrategy.deletionRules"
_AUTOSCALED = {f"{_CLUSTER}.enableInTreeAutoscaling": True}
_SELECTED = {"spec.clusterSelector": {"ray.io/cluster": "other"}, "spec.rayClusterSpec": None}
_KEPT = {"spec.shutdownAfterJobFinishes": False, "spec.ttlSecondsAfterFinished": 0}


def _rule(policy: str, seconds: int = 0, status: str = "SUCCEEDED") -> dict[str, Any]:
    return {"policy": policy, "condition": {"jobStatus": status, "ttlSeconds": seconds}}


def _variable(name: str, value: str = "x") -> list[dict[str, str]]:
    return [{"name": name, "value": value}]


def _ruled(*rules: dict[str, Any]) -> dict[str, Any]:
    return {**_KEPT, "spec.deletionStrategy": {"deletionRules": list(rules)}}


Case = tuple[str, dict[str, Any], str | None]
"""Its name, paths with their new values (None removes), and a word of the refusal."""

JOB: list[Case] = [
    ("as it is", {}, OK),
    ("name of 47", {"metadata.name": "a" * 47}, OK),
    ("name of 48", {"metadata.name": "a" * 48}, "48 characters"),
    ("name begins with a digit", {"metadata.name": "1a"}, "begin with a letter"),
    ("ttl without shutdown", {"spec.shutdownAfterJobFinishes": False}, "ttlSecondsAfterFinished"),
    ("negative ttl", {"spec.ttlSecondsAfterFinished": -1}, "must not be negative"),
    ("kept for ever", _KEPT, OK),
    ("suspended", {"spec.suspend": True}, OK),
    ("suspended and kept", {**_KEPT, "spec.suspend": True}, "suspend: needs"),
    ("no cluster", {_CLUSTER: None}, "rayClusterSpec: one of"),
    ("selected", _SELECTED, OK),
    ("selected without a name", {**_SELECTED, "spec.clusterSelector": {"a": "b"}}, "must name"),
    ("selected and suspended", {**_SELECTED, "spec.suspend": True}, "not with clusterSelector"),
    ("selected and repeated", {**_SELECTED, "spec.backoffLimit": 1}, "not with clusterSelector"),
    ("selected from a sidecar", {**_SELECTED, "spec.submissionMode": "SidecarMode"}, "SidecarMode"),
    ("interactive", {"spec.submissionMode": "InteractiveMode"}, OK),
    (
        "interactive and repeated",
        {"spec.submissionMode": "InteractiveMode", "spec.backoffLimit": 1},
        "InteractiveMode",
    ),
    ("a mode that is none", {"spec.submissionMode": "HttpMode"}, OK),
    ("sidecar", {"spec.submissionMode": "SidecarMode"}, OK),
    (
        "sidecar and its submitter",
        {"spec.submissionMode": "SidecarMode", "spec.submitterConfig": {"backoffLimit": 1}},
        "submitterConfig",
    ),
    (
        "sidecar of a head that restarts",
        {"spec.submissionMode": "SidecarMode", f"{_HEAD}.template.spec.restartPolicy": "Always"},
        "restartPolicy",
    ),
    ("repeated", {"spec.backoffLimit": 2}, OK),
    ("negative backoff", {"spec.backoffLimit": -1}, "backoffLimit"),
    ("no time", {"spec.activeDeadlineSeconds": 0}, "activeDeadlineSeconds"),
    ("negative time", {"spec.activeDeadlineSeconds": -5}, "activeDeadlineSeconds"),
    ("runtime environment", {"spec.runtimeEnvYAML": "env_vars: {A: b}\n"}, OK),
    ("a word as runtime environment", {"spec.runtimeEnvYAML": "just words"}, "runtimeEnvYAML"),
    ("a broken runtime environment", {"spec.runtimeEnvYAML": "a: [b"}, "runtimeEnvYAML"),
    (
        "a token of Kubernetes",
        {f"{_CLUSTER}.authOptions.enableK8sTokenAuth": True},
        "RayJob cannot",
    ),
]
DELETION: list[Case] = [
    ("rules", _ruled(_rule("DeleteCluster"), _rule("DeleteSelf", 60)), OK),
    (
        "rules and shutdown",
        {"spec.deletionStrategy": {"deletionRules": [_rule("DeleteCluster")]}},
        "shutdownAfterJobFinishes",
    ),
    (
        "cluster before workers",
        _ruled(_rule("DeleteWorkers", 9), _rule("DeleteCluster", 3)),
        "go b",
    ),
    ("the same rule twice", _ruled(_rule("DeleteSelf"), _rule("DeleteSelf", 9)), "a second"),
    (
        "the same at another status",
        _ruled(_rule("DeleteSelf"), _rule("DeleteSelf", 9, "FAILED")),
        OK,
    ),
    (
        "workers with autoscaling",
        {**_ruled(_rule("DeleteWorkers")), **_AUTOSCALED},
        "not with autoscaling",
    ),
    (
        "the cluster of others",
        {**_ruled(_rule("DeleteCluster")), **_SELECTED},
        "not with clusterSelector",
    ),
    (
        "as it was of old",
        {
            **_KEPT,
            "spec.deletionStrategy": {
                "onSuccess": {"policy": "DeleteNone"},
                "onFailure": {"policy": "DeleteCluster"},
            },
        },
        OK,
    ),
    (
        "of old, and shut down",
        {
            "spec.deletionStrategy": {
                "onSuccess": {"policy": "DeleteNone"},
                "onFailure": {"policy": "DeleteCluster"},
            }
        },
        "DeleteNone",
    ),
    (
        "of old without a policy",
        {**_KEPT, "spec.deletionStrategy": {"onSuccess": {}, "onFailure": {}}},
        "needs a policy",
    ),
]
CLUSTER: list[Case] = [
    ("min over max", {f"{_GROUP}.minReplicas": 5}, "more than maxReplicas"),
    ("negative min", {f"{_GROUP}.minReplicas": -1}, "must not be negative"),
    ("no worker", {f"{_CLUSTER}.workerGroupSpecs": []}, OK),
    ("a head without a container", {f"{_HEAD}.template.spec.containers": []}, "needs a container"),
    ("workers without", {f"{_GROUP}.template.spec.containers": []}, "needs a container"),
    ("resources", {f"{_GROUP}.resources": {"GPU": "1"}}, OK),
    (
        "resources twice",
        {f"{_GROUP}.resources": {"GPU": "1"}, f"{_GROUP}.rayStartParams": {"num-gpus": "1"}},
        "keep one",
    ),
    ("labels", {f"{_GROUP}.labels": {"team.example/x": "a.B_c"}}, OK),
    ("labels as a parameter", {f"{_HEAD}.rayStartParams.labels": "a=b"}, "not supported"),
    ("a key that is none", {f"{_GROUP}.labels": {"-a": "b"}}, "label '-a'"),
    ("a value that is none", {f"{_GROUP}.labels": {"a": "b c"}}, "label 'a'"),
    ("Redis by a variable", {_HEAD_ENV: _variable("RAY_REDIS_ADDRESS")}, "RAY_REDIS_ADDRESS"),
    (
        "Redis, annotated",
        {
            _HEAD_ENV: _variable("RAY_REDIS_ADDRESS"),
            "metadata.annotations": {"ray.io/ft-enabled": "True"},
        },
        OK,
    ),
    ("Redis", {f"{_CLUSTER}.gcsFaultToleranceOptions": {"redisAddress": "redis:6379"}}, OK),
    (
        "Redis twice",
        {
            f"{_CLUSTER}.gcsFaultToleranceOptions": {"redisAddress": "redis:6379"},
            "metadata.annotations": {"ray.io/ft-enabled": "false"},
        },
        "ft-enabled",
    ),
    (
        "its password as a parameter",
        {
            f"{_CLUSTER}.gcsFaultToleranceOptions": {"redisAddress": "redis:6379"},
            f"{_HEAD}.rayStartParams": {"redis-password": "x"},
        },
        "redis-password",
    ),
    ("its user as a variable", {_HEAD_ENV: _variable("REDIS_USERNAME")}, "user of Redis"),
    ("a suspended group", {f"{_GROUP}.suspend": True}, OK),
    ("a suspended group, scaled", {**_AUTOSCALED, f"{_GROUP}.suspend": True}, "not with autosc"),
    ("scaled by a variable", {_HEAD_ENV: _variable("RAY_enable_autoscaler_v2", "1")}, "needs en"),
    ("not scaled by it", {_HEAD_ENV: _variable("RAY_enable_autoscaler_v2", "0")}, OK),
    ("scaled", {**_AUTOSCALED, f"{_CLUSTER}.autoscalerOptions": {"version": "v2"}}, OK),
    (
        "scaled twice",
        {
            **_AUTOSCALED,
            f"{_CLUSTER}.autoscalerOptions": {"version": "v2"},
            _HEAD_ENV: _variable("RAY_enable_autoscaler_v2", "1"),
        },
        "not beside",
    ),
    (
        "scaled and restarted",
        {
            **_AUTOSCALED,
            f"{_CLUSTER}.autoscalerOptions": {"version": "v2"},
            f"{_GROUP}.template.spec.restartPolicy": "Always",
        },
        "restartPolicy",
    ),
    (
        "negative patience",
        {**_AUTOSCALED, f"{_CLUSTER}.autoscalerOptions": {"idleTimeoutSeconds": -1}},
        "idleTimeoutSeconds",
    ),
    (
        "patience of a group",
        {
            **_AUTOSCALED,
            f"{_CLUSTER}.autoscalerOptions": {"version": "v2"},
            f"{_GROUP}.idleTimeoutSeconds": 60,
        },
        OK,
    ),
    (
        "patience of a group in version 1",
        {
            **_AUTOSCALED,
            f"{_CLUSTER}.autoscalerOptions": {"version": "v1"},
            f"{_GROUP}.idleTimeoutSeconds": 60,
        },
        "needs autoscalerOptions.version",
    ),
    ("no version of Ray", {f"{_CLUSTER}.rayVersion": None}, "rayVersion"),
    ("an old Ray", {f"{_CLUSTER}.rayVersion": "2.51.9"}, "rayVersion"),
    ("the first with tokens", {f"{_CLUSTER}.rayVersion": "v2.52.0-rc1"}, OK),
    ("a version that is none", {f"{_CLUSTER}.rayVersion": "2"}, "rayVersion"),
    ("open to all", {f"{_CLUSTER}.authOptions": {}, f"{_CLUSTER}.rayVersion": None}, OK),
]
NEW: list[Case] = [  # what version 1.6 does not know, and drops
    (
        "a group of rank",
        {
            **_AUTOSCALED,
            f"{_CLUSTER}.autoscalerOptions": {"version": "v2"},
            f"{_GROUP}.priority": 5,
        },
        OK,
    ),
    ("a group of rank, not scaled", {f"{_GROUP}.priority": 5}, "priority needs"),
    ("storage for Redis", {f"{_CLUSTER}.gcsFaultToleranceOptions": {"storage": {}}}, "storage"),
    (
        "storage of its own",
        {f"{_CLUSTER}.gcsFaultToleranceOptions": {"backend": "rocksdb"}},
        "GCSFaultToleranceEmbeddedStorage",
    ),
    (
        "the operator's own command",
        {
            **_AUTOSCALED,
            f"{_CLUSTER}.autoscalerOptions": {"env": _variable("KUBERAY_GEN_AUTOSCALER_START_CMD")},
        },
        "operator's own",
    ),
    ("a network policy", {f"{_CLUSTER}.networkPolicy": {}}, "RayClusterNetworkPolicy"),
    ("TLS", {f"{_CLUSTER}.tlsOptions": {"enabled": True}}, "RayClusterMTLS"),
    ("a history", {f"{_CLUSTER}.historyServerOptions": {}}, "RayClusterHistoryServer"),
]
CASES = [*JOB, *DELETION, *CLUSTER, *NEW]
