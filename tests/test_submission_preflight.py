"""A look before a run is created: each check finds what would keep it from running."""

from collections.abc import Callable
from typing import Any

import pytest

from cifar_dist.config import S3
from cifar_dist.documents.doctor import CheckRow
from cifar_dist.errors import CifarDistError, ConfigError, RunError, StoreError
from cifar_dist.submission.kubectl import Kubectl
from cifar_dist.submission.preflight import Flight, examined
from cifar_dist.submission.surroundings import ONLINE, numbers
from tests.fake_cluster import SPACE, STORE, FakeCluster, asking, node
from tests.kubernetes.specs import changed, sound

FORBIDDEN = 'Error from server (Forbidden): nodes is forbidden: User "u" cannot list'
SILENT = "Unable to connect to the server: dial tcp 192.0.2.1:443: i/o timeout"
NODES = "/api/v1/nodes?limit=500"
ACCOUNT = f"{SPACE}/serviceaccounts/default"
GPU = {"nvidia.com/gpu": "1"}
TAINT = {"key": "nvidia.com/gpu", "effect": "NoSchedule"}
WORKER = "spec.rayClusterSpec.workerGroupSpecs.0.template.spec"
Cluster = FakeCluster


def rows(
    manifest: dict[str, Any] | None = None, pods: tuple[int, int] = (1, 1), **more: Any
) -> dict[str, CheckRow]:
    """Examine a run by all checks."""
    facts = {
        "manifest": manifest or sound(),
        "pods": pods,
        "store": STORE,
        "s3": S3(),
        "operator_namespace": "kuberay-system",
        "release": "0.1.0",
        "reader": Kubectl("cifar-dist"),
        **more,
    }
    return {row.name: row for row in examined(Flight(**facts), ONLINE)}


@pytest.mark.usefixtures("cluster")
def test_a_sound_run_on_a_sound_platform_passes() -> None:
    found = rows(changed(sound(), {}))
    assert [name for name, row in found.items() if row.verdict == "failed"] == []
    assert list(found) == list(ONLINE)
    assert found["image"].verdict == "warning" and found["store"].verdict == "skipped"
    assert all(row.exit_code == 0 for row in found.values())


def _scaled(cluster: Cluster) -> None:
    cluster.answer(NODES, {"items": [], "metadata": {"continue": "x"}})
    cluster.answer("/api/v1/nodes?limit=500&continue=x", {"items": [node(cpu="1")]})
    cluster.answer("/apis", {"groups": [{"name": "karpenter.sh"}]})


def _quota(key: str, hard: str, used: str = "0") -> Callable[[Cluster], None]:
    quota = {"metadata": {"name": "team"}, "status": {"hard": {key: hard}, "used": {key: used}}}
    return lambda cluster: cluster.answer(f"{SPACE}/resourcequotas", {"items": [quota]})


def _limited(kind: str, most: str) -> Callable[[Cluster], None]:
    limits = [{"type": kind, "max": {"cpu": most}}]
    return lambda cluster: cluster.answer(
        f"{SPACE}/limitranges", {"items": [{"spec": {"limits": limits}}]}
    )


@pytest.mark.parametrize(
    ("change", "expected", "said"),
    [
        (lambda c: c.forget("/apis/ray.io/v1"), "operator failed 2", "does not know"),
        (lambda c: c.forget(SPACE), "namespace failed 2", "does not exist"),
        (lambda c: c.answer(SPACE, {}), "namespace warning 0", "enforces nothing"),
        (lambda c: c.forget(ACCOUNT), "accounts failed 2", "ServiceAccount default"),
        (lambda c: c.nodes(node(cpu="3")), "nodes failed 2", "the head needs 1 pods"),
        (lambda c: c.nodes(node(memory="1Gi")), "nodes failed 2", "room for 0"),
        (_scaled, "nodes warning 0", "adds nodes by itself"),
        (lambda c: c.refuse(NODES, FORBIDDEN), "nodes skipped 0", "may not look"),
        (_quota("requests.cpu", "10", "3"), "quota failed 3", "3 used and 8 asked of 10"),
        (_quota("limits.cpu", "10", "2"), "quota ok 0", "leave room"),
        (_quota("pods", "1"), "quota failed 3", "pods: 0 used and 2 asked of 1"),
        (_quota("requests.nvidia.com/gpu", "0"), "quota ok 0", "leave room"),
        (_limited("Container", "2"), "quota failed 3", "ray has 4 cpu, at most 2"),
        (_limited("Pod", "2"), "quota failed 3", "the pod has 4 cpu"),
        (_limited("Pod", "4"), "quota ok 0", "leave room"),
        (lambda c: c.refuse("/apis/ray.io/v1", SILENT), "operator failed 3", "does not answer"),
    ],
)
def test_a_check_finds_what_is_wrong(
    cluster: Cluster, change: Callable[[Cluster], None], expected: str, said: str
) -> None:
    change(cluster)
    check = expected.partition(" ")[0]
    row = rows(asking(cpu="4", memory="8Gi"))[check]
    assert f"{check} {row.verdict} {row.exit_code}" == expected, row
    assert said in row.found
    assert row.verdict != "failed" or row.remedy


@pytest.mark.parametrize(
    ("changes", "nodes", "verdict"),
    [
        ({}, [node(**GPU)], "ok"),
        ({}, [node()], "failed"),
        ({}, [{**node(**GPU), "spec": {"unschedulable": True}}, node()], "failed"),
        ({}, [{**node(**GPU), "spec": {"taints": [TAINT]}}, node()], "failed"),
        (
            {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]},
            [{**node(**GPU), "spec": {"taints": [TAINT]}}, node()],
            "ok",
        ),
        ({"nodeSelector": {"zone": "a"}}, [node(**GPU)], "failed"),
        (
            {"nodeSelector": {"zone": "a"}},
            [{**node(**GPU), "metadata": {"labels": {"zone": "a"}}}, node()],
            "ok",
        ),
    ],
)
def test_pods_need_nodes_that_take_them(
    cluster: Cluster, changes: dict[str, Any], nodes: list[dict[str, Any]], verdict: str
) -> None:
    wanted = {f"{WORKER}.{key}": value for key, value in changes.items()}
    gpus = {f"{WORKER}.containers.0.resources": {"limits": {**GPU, "cpu": "1"}}}
    cluster.nodes(*nodes)
    assert rows(changed(sound(), {**gpus, **wanted}))["nodes"].verdict == verdict


@pytest.mark.parametrize(
    ("operator", "values", "zone", "fits"),
    [
        ("In", ["a", "b"], "a", True),
        ("In", ["a", "b"], "c", False),
        ("NotIn", ["a"], "a", False),
        ("Exists", [], "a", True),
        ("DoesNotExist", [], "a", False),
        ("Gt", ["3"], "4", True),
        ("Lt", ["3"], "4", False),
    ],
)
def test_a_required_affinity_is_kept(
    cluster: Cluster, operator: str, values: list[str], zone: str, fits: bool
) -> None:
    rule = {"key": "zone", "operator": operator, "values": values}
    term = {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}
    required = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}}
    cluster.nodes({**node(), "metadata": {"name": "n", "labels": {"zone": zone}}})
    row = rows(changed(sound(), {f"{WORKER}.affinity": required}))["nodes"]
    assert (row.verdict == "ok") == fits


def test_the_most_that_a_sweep_may_grow_to_is_only_warned_of(cluster: Cluster) -> None:
    cluster.nodes(node(cpu="8"))
    row = rows(asking(cpu="4", memory="1Gi"), pods=(0, 9))["nodes"]
    assert row.verdict == "warning" and "9 pods" in row.found and "room for 2" in row.found
    assert rows(asking(cpu="4", memory="1Gi"), pods=(3, 3))["nodes"].verdict == "failed"


def test_secrets_are_looked_for_by_name_and_key_without_their_values(cluster: Cluster) -> None:
    token = {"spec.rayClusterSpec.authOptions.secretName": "ray-token"}
    assert "ray-token" in rows(changed(sound(), token))["secrets"].found
    cluster.answer("/secrets/ray-token", "other ")
    assert "with the key auth_token" in rows(changed(sound(), token))["secrets"].found
    cluster.answer("/secrets/ray-token", "auth_token ")
    assert rows(changed(sound(), token))["secrets"].verdict == "ok"
    asked = [call for call in cluster.calls if "get secret" in call]
    assert asked and all("{{$key}}" in call and "$_" in call for call in asked)


def test_a_secret_that_may_not_be_looked_at_hides_no_other_that_is_missing(
    cluster: Cluster,
) -> None:
    key = {"name": "K", "valueFrom": {"secretKeyRef": {"name": "a-store", "key": "k"}}}
    named = changed(
        sound(),
        {
            "spec.rayClusterSpec.authOptions.secretName": "z-token",
            f"{WORKER}.containers.0.env": [key],
        },
    )
    cluster.refuse("/secrets/a-store", FORBIDDEN)
    row = rows(named)["secrets"]
    assert (row.verdict, "z-token" in row.found) == ("failed", True)
    cluster.answer("/secrets/z-token", "auth_token ")
    assert "may not look at a-store" in rows(named)["secrets"].found
    cluster.refuse("/secrets/z-token", FORBIDDEN)
    assert rows(named)["secrets"].verdict == "skipped"


@pytest.mark.parametrize("error", [StoreError("HTTP 403"), RunError("no answer"), ConfigError("x")])
@pytest.mark.usefixtures("cluster")
def test_a_store_that_this_machine_cannot_read_refuses_nothing(
    error: CifarDistError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise error

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of somebody else")
    monkeypatch.setattr("cifar_dist.submission.surroundings.open_store", refuse)
    row = rows()["store"]
    assert (row.verdict, row.exit_code) == ("warning", 0)
    assert numbers(STORE, S3(), "tune", "x") == set()


def test_a_platform_of_another_version_and_an_operator_are_named(cluster: Cluster) -> None:
    image = {"image": "quay.io/kuberay/operator:v1.7.0@sha256:0"}
    pod = {"spec": {"template": {"spec": {"containers": [image]}}}}
    cluster.answer("/apis/apps/v1/namespaces/kuberay-system/deployments", {"items": [pod]})
    found = rows(release="0.0.9")
    assert found["operator"].found.endswith("operator v1.7.0")
    assert found["platform"].verdict == "warning" and "0.0.9" in found["platform"].found


@pytest.mark.parametrize("endpoint", ["http://store:7070", "http://s3.storage.svc:7070"])
def test_a_store_inside_the_cluster_is_not_asked_from_outside(
    cluster: Cluster, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    assert "inside the cluster" in rows(s3=S3(endpoint=endpoint))["store"].found
    assert numbers(STORE, S3(endpoint=endpoint), "tune", "x") == set()
    assert cluster.created is None
