"""Custom objects of the chart are what KubeRay, Prometheus' operator and Gateway API define."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.chart import modules
from tests.chart.crd import Kind, Schema, complaints, kind_of
from tests.chart.renders import Case, Object, changed, named, objects

RAY = "ray.io/v1"
Definitions = Callable[[], dict[Kind, Schema]]
SOURCES: dict[str, Definitions] = {
    "kuberay": modules.kuberay,
    "kuberay-next": modules.next_kuberay,
    "prometheus-operator": modules.prometheus,
    "gateway-api": modules.gateway,
}
HEAD = "spec.rayClusterSpec.headGroupSpec.template.spec"
WORKERS = "spec.rayClusterSpec.workerGroupSpecs.0"
RULE = {"policy": "DeleteCluster", "condition": {"ttlSeconds": 1}}
# What is done to a good RayJob, and what the server says to it.
MUTATIONS: list[tuple[str, Any, str]] = [
    ("spec.shutDownAfterJobFinishes", True, "unknown field"),
    (f"{HEAD}.containers.0.securityContext.readOnlyRootFileSystem", True, "unknown field"),
    ("metadata.label", {}, "unknown field"),
    ("spec.rayClusterSpec.enableInTreeAutoscaling", "true", "boolean"),
    ("spec.backoffLimit", "1", "integer"),
    ("spec.backoffLimit", 2**31, "int32"),
    ("spec.preRunningDeadlineSeconds", 0, "minimum"),
    ("spec.rayClusterSpec.authOptions.mode", "tokens", "is not one of"),
    (f"{WORKERS}.template", None, "required"),
    (f"{WORKERS}.groupName", None, "required"),
    ("spec.rayClusterSpec.headGroupSpec", None, "required"),
    (f"{HEAD}.containers.0.resources.limits.memory", "8 Gi", "does not match"),
    (f"{HEAD}.containers.0.ports.0.containerPort", "6379", "integer"),
    ("spec.rayClusterSpec.managedBy", "me", "managedBy"),
    ("spec.deletionStrategy", {}, "requires either BOTH"),
    ("spec.deletionStrategy", {"deletionRules": [RULE]}, "JobStatus"),
    (f"{HEAD}.containers.1", {"name": "ray-head"}, "duplicate"),
    ("spec.rayClusterSpec.headGroupSpec.rayStartParams.num-cpus", 0, "string"),
]
WRONG_MONITORS: list[tuple[str, Any, str]] = [
    ("spec.podMetricsEndpoints.0.interval", 15, "string"),
    ("spec.podMetricsEndpoints.0.interval", "15 s", "does not match"),
    ("spec.podMetricsEndpoints.0.relabelings", [{"action": "drops"}], "is not one of"),
    ("spec.podMetricsEndpoint", [], "unknown field"),
]
ROUTE: Object = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {"name": "route"},
    "spec": {
        "parentRefs": [{"name": "web", "namespace": "edge"}, {"name": "other"}],
        "rules": [{"matches": [{"path": {"value": "/ray"}}], "backendRefs": [{"name": "a"}]}],
    },
}


@pytest.fixture(scope="module")
def rayjob(renders: dict[Case, str]) -> Object:
    """Give the RayJob of the default values."""
    return next(t for t in objects(renders[Case("default", "job")]) if t["kind"] == "RayJob")


@pytest.mark.parametrize("source", SOURCES)
def test_every_custom_object_is_served_whole(
    source: str, things: list[tuple[Case, Object]]
) -> None:
    known = SOURCES[source]()
    mine = [(case, thing) for case, thing in things if kind_of(thing) in known]
    wrong = {
        f"{named(thing)} of {case}": said
        for case, thing in mine
        if (said := complaints(known[kind_of(thing)], thing))
    }
    assert mine and not wrong


@pytest.mark.parametrize("source", ["kuberay", "kuberay-next"])
@pytest.mark.parametrize(("path", "value", "said"), MUTATIONS)
def test_a_broken_rayjob_is_refused(
    rayjob: Object, source: str, path: str, value: Any, said: str
) -> None:
    schema = SOURCES[source]()[Kind(RAY, "RayJob")]
    found = complaints(schema, changed(rayjob, path, value))
    assert any(said in reason for reason in found), found


@pytest.mark.parametrize(("path", "value", "said"), WRONG_MONITORS)
def test_a_broken_monitor_is_refused(
    things: list[tuple[Case, Object]], path: str, value: Any, said: str
) -> None:
    monitor = next(thing for _, thing in things if thing["kind"] == "PodMonitor")
    found = complaints(modules.prometheus()[kind_of(monitor)], changed(monitor, path, value))
    assert any(said in reason for reason in found), found


def test_a_broken_rule_file_is_refused(things: list[tuple[Case, Object]]) -> None:
    rules = next(thing for _, thing in things if thing["kind"] == "PrometheusRule")
    group = {"name": "more", "rules": [{"alert": "A", "expr": "1", "for": "5 m"}]}
    found = complaints(modules.prometheus()[kind_of(rules)], changed(rules, "spec.groups.0", group))
    assert any(".for" in reason or "for:" in reason for reason in found), found


def test_a_route_without_a_port_is_refused() -> None:
    schema = modules.gateway()[kind_of(ROUTE)]
    (said,) = complaints(schema, ROUTE)
    assert "port" in said
    assert not complaints(schema, changed(ROUTE, "spec.rules.0.backendRefs.0.port", 8265))


def test_nothing_newer_than_the_released_operator_is_used_unless_asked(
    things: list[tuple[Case, Object]],
) -> None:
    old, new = modules.kuberay(), modules.next_kuberay()
    mine = [thing for _, thing in things if kind_of(thing) in old]
    assert mine
    assert all(complaints(old[kind_of(t)], t) == complaints(new[kind_of(t)], t) == [] for t in mine)
