"""Our port of the operator's rules beside the operator itself, on hundreds of RayJobs."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.kubernetes.cluster import attempt, kubectl, told, until
from tests.kubernetes.specs import Spec, generated

_SPECS, _JUDGED = 400, 200
_PLACE = "rules"
_QUOTA = """
apiVersion: v1
kind: ResourceQuota
metadata: {name: no-pods, namespace: rules}
spec: {hard: {pods: "0"}}
"""


@pytest.fixture
def place(lab: None) -> Iterator[str]:
    """Make a namespace in which jobs are judged and no pod is made."""
    kubectl("create", "namespace", _PLACE)
    kubectl("apply", "-f", "-", given=_QUOTA)
    yield _PLACE
    attempt("kubectl", "delete", "namespace", _PLACE, "--wait=false")
    until("its end", _is_gone)


def _is_gone() -> bool:
    """Free clusters whose Redis, which there never was, cannot be cleaned up."""
    clusters = attempt("kubectl", "-n", _PLACE, "get", "rayclusters", "-o", "name").stdout.split()
    for cluster in clusters:
        patch = ("patch", cluster, "--type=merge", "-p", '{"metadata":{"finalizers":[]}}')
        attempt("kubectl", "-n", _PLACE, *patch)
    return attempt("kubectl", "get", "namespace", _PLACE).returncode != 0


def _operator() -> tuple[int, int]:
    operator = kubectl("-n", "kuberay-system", "get", "deployments", "-o", "yaml")
    version = re.search(r"image: .*/kuberay-operator-(\d+)\.(\d+)\.", operator)
    assert version is not None, "the lab's operator has its version in its image's name"
    return int(version[1]), int(version[2])


def _sent(spec: Spec) -> bool:
    """Tell whether the API server took a RayJob; what its schema refuses never gets further.

    Fields that it does not know are pruned, as for any client that is not kubectl.
    """
    command = ("kubectl", "-n", _PLACE, "create", "--validate=ignore", "-f", "-")
    return attempt(*command, given=json.dumps(spec.manifest)).returncode == 0


def _verdicts() -> dict[str, bool]:
    """Give what the operator said of the jobs that it judged: whether it takes them."""
    found = {}
    for job in told("-n", _PLACE, "get", "rayjobs")["items"]:
        status: dict[str, Any] = job.get("status", {})
        if state := status.get("jobDeploymentStatus"):
            found[job["metadata"]["name"]] = state != "ValidationFailed"
    return found


def test_the_operator_refuses_what_we_refuse_and_nothing_else(place: str) -> None:
    specs = generated(1, _SPECS, _operator())
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(_sent, specs))
    asked = {
        spec.manifest["metadata"]["name"]: not spec.problems
        for spec, is_taken in zip(specs, taken, strict=True)
        if is_taken
    }
    assert len(asked) > _JUDGED
    found = until("verdicts", lambda: len(v := _verdicts()) >= len(asked) and v, 300)
    wrong = {name: verdict for name, verdict in found.items() if verdict != asked[name]}
    assert wrong == {}
