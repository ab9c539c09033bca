"""Every pod, with what the operator adds to it, is let into a namespace that is "restricted"."""

from typing import Any

import pytest

from tests.chart.injected import pods
from tests.chart.pod_security import violations
from tests.chart.renders import CI, Case, Object, changed, objects, rendered

POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "good"},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "containers": [
            {
                "name": "main",
                "ports": [{"containerPort": 80}],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    },
}
CONTAINER = "spec.containers.0.securityContext"
MUTATIONS: list[tuple[str, Any, str]] = [
    ("spec.hostNetwork", True, "hostNetwork"),
    ("spec.hostPID", True, "hostPID"),
    ("spec.securityContext.runAsNonRoot", None, "runAsNonRoot"),
    ("spec.securityContext.runAsNonRoot", False, "runAsNonRoot"),
    ("spec.securityContext.runAsUser", 0, "runAsUser"),
    ("spec.securityContext.seccompProfile", None, "seccompProfile"),
    ("spec.securityContext.seccompProfile.type", "Unconfined", "seccompProfile"),
    ("spec.securityContext.sysctls", [{"name": "kernel.msgmax", "value": "1"}], "sysctl"),
    ("spec.securityContext.seLinuxOptions", {"type": "spc_t"}, "seLinux"),
    ("spec.volumes.0", {"name": "tmp", "hostPath": {"path": "/tmp"}}, "hostPath"),
    ("spec.containers.0.ports.0.hostPort", 80, "hostPort"),
    ("spec.containers.0.livenessProbe", {"httpGet": {"host": "a", "port": 1}}, "host"),
    (CONTAINER, None, "allowPrivilegeEscalation"),
    (f"{CONTAINER}.allowPrivilegeEscalation", None, "allowPrivilegeEscalation"),
    (f"{CONTAINER}.privileged", True, "privileged"),
    (f"{CONTAINER}.capabilities.drop", [], "ALL"),
    (f"{CONTAINER}.capabilities.add", ["SYS_PTRACE"], "SYS_PTRACE"),
    (f"{CONTAINER}.procMount", "Unmasked", "procMount"),
    (f"{CONTAINER}.appArmorProfile", {"type": "Unconfined"}, "appArmor"),
    ("spec.initContainers", [{"name": "first"}], "first: allowPrivilegeEscalation"),
]
WRITABLE = "/tmp"


def test_a_good_pod_is_let_in() -> None:
    assert violations(POD) == []


@pytest.mark.parametrize(("path", "value", "said"), MUTATIONS)
def test_a_weaker_pod_is_refused(path: str, value: Any, said: str) -> None:
    assert any(said in reason for reason in violations(changed(POD, path, value)))


@pytest.mark.parametrize("values", CI)
def test_every_pod_of_a_shape_is_let_in(values: str, renders: dict[Case, str]) -> None:
    texts = {text for case, text in renders.items() if case.values == values}
    found = {n: p for text in texts for thing in objects(text) for n, p in pods(thing)}
    wrong = {name: reasons for name, pod in found.items() if (reasons := violations(pod))}
    assert found and not wrong


@pytest.mark.parametrize("mode", ["job", "cluster"])
def test_the_autoscaler_that_the_operator_adds_is_let_in(mode: str) -> None:
    growing = ("autoscaling.enabled=true", "workerGroups.cpu.minReplicas=0")
    text = rendered(Case("default", mode), *growing, "workerGroups.cpu.maxReplicas=3")
    found = dict(entry for thing in objects(text) for entry in pods(thing))
    names = {c["name"] for pod in found.values() for c in pod["spec"]["containers"]}
    assert "autoscaler" in names
    assert not {name: reasons for name, pod in found.items() if (reasons := violations(pod))}


@pytest.mark.parametrize("mode", ["SidecarMode", "K8sJobMode"])
def test_a_submitter_of_the_operator_is_not_let_in(mode: str, renders: dict[Case, str]) -> None:
    text = renders[Case("default", "job")]
    job = next(thing for thing in objects(text) if thing["kind"] == "RayJob")
    found = dict(pods(changed(job, "spec.submissionMode", mode)))
    assert any("ray-job-submitter" in str(violations(pod)) for pod in found.values())


def test_a_container_without_its_context_is_seen_in_what_is_copied_from_it(
    renders: dict[Case, str],
) -> None:
    text = renders[Case("default", "job")]
    job = next(thing for thing in objects(text) if thing["kind"] == "RayJob")
    worker = "spec.rayClusterSpec.workerGroupSpecs.0.template.spec.containers.0.securityContext"
    found = dict(pods(changed(job, worker, None)))
    assert "wait-gcs-ready" in str([violations(pod) for pod in found.values()])


@pytest.mark.parametrize("values", CI)
def test_every_root_is_read_only_and_tmp_is_writable(values: str, renders: dict[Case, str]) -> None:
    texts = {text for case, text in renders.items() if case.values == values}
    for name, pod in (e for text in texts for thing in objects(text) for e in pods(thing)):
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, f"{name} {container['name']}"
            mounts = {m["mountPath"] for m in container.get("volumeMounts", [])}
            if name.startswith("Ray"):
                assert WRITABLE in mounts, f"{name} {container['name']}"
