"""What each account of the platform may do, and nothing else: asked of the API server."""

import pytest

from tests.kubernetes.cluster import NAMESPACE, attempt

HEAD, WORKER, SUBMITTER = "cd-cifar-dist-head", "cd-cifar-dist-worker", "cd-cifar-dist-submitter"

# Verb, resource, and below it what is a part of an object.
_NEEDED = {
    SUBMITTER: [
        ("create", "rayjobs.ray.io", ""), ("get", "rayjobs.ray.io", ""),
        ("list", "rayjobs.ray.io", ""), ("watch", "rayjobs.ray.io", ""),
        ("delete", "rayjobs.ray.io", ""), ("list", "pods", ""), ("get", "pods", "log"),
        ("create", "pods", "portforward"), ("list", "events", ""),
        ("get", "configmaps/cd-cifar-dist-platform", ""), ("get", "secrets/ray-token", ""),
    ],
    HEAD: [],  # the operator gives it its autoscaler's rights with each cluster
    WORKER: [],
}  # fmt: skip
_NEVER = [
    ("create", "pods", ""), ("create", "pods", "exec"), ("create", "pods", "attach"),
    ("delete", "pods", ""), ("list", "secrets", ""), ("get", "secrets/store-keys", ""),
    ("get", "secrets", ""), ("create", "roles", ""), ("create", "rolebindings", ""),
    ("escalate", "roles", ""), ("bind", "roles", ""), ("delete", "namespaces", ""),
    ("get", "nodes", "proxy"), ("create", "serviceaccounts", "token"), ("impersonate", "users", ""),
    ("update", "configmaps", ""), ("create", "deployments.apps", ""),
    ("delete", "networkpolicies", ""), ("update", "rayclusters.ray.io", "status"), ("*", "*", ""),
]  # fmt: skip


def _may(account: str, verb: str, resource: str, part: str) -> bool:
    ended = attempt(
        "kubectl", "auth", "can-i", verb, resource, "--namespace", NAMESPACE,
        *(["--subresource", part] if part else []),
        "--as", f"system:serviceaccount:{NAMESPACE}:{account}",
    )  # fmt: skip
    assert ended.stdout.strip() in {"yes", "no"}, ended.stderr
    return ended.stdout.strip() == "yes"


@pytest.mark.parametrize("account", _NEEDED)
def test_an_account_may_do_what_it_needs(platform: str, account: str) -> None:
    refused = [what for what in _NEEDED[account] if not _may(account, *what)]
    assert refused == []


@pytest.mark.parametrize("account", _NEEDED)
def test_an_account_may_do_nothing_else(platform: str, account: str) -> None:
    allowed = [what for what in _NEVER if _may(account, *what)]
    assert allowed == []


@pytest.mark.parametrize("account", [HEAD, WORKER])
def test_pods_that_run_a_users_code_cannot_submit(platform: str, account: str) -> None:
    assert not _may(account, "create", "rayjobs.ray.io", "")
