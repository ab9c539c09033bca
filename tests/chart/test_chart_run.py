"""A run as KubeRay gets it: submitted over HTTP with a token, ended in time, drained, writable."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cifar_dist.submission import chart
from cifar_dist.submission.rules import dangers, problems
from tests.chart.injected import pods
from tests.chart.quantities import number
from tests.chart.renders import (
    CHART,
    CI,
    MODES,
    NAMESPACE,
    RELEASE,
    RUN,
    Case,
    Object,
    helm,
    named,
    needed,
    objects,
)

PORTS = {
    "gcs-server": 6379, "dashboard": 8265, "client": 10001, "metrics": 8080,
    "as-metrics": 44217, "dash-metrics": 44227, "app-metrics": 9400,
}  # fmt: skip
FIXED = {
    "RAY_AUTH_MODE": "token",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "CIFAR_DIST_METRICS_HOST": "0.0.0.0",
    "CIFAR_DIST_LOG_FILE": "/proc/1/fd/1",
}
DRAIN = "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"
LARGE = {
    "job": {"activeDeadlineSeconds": 31_000_000, "ttlSeconds": 30_000_000},
    "priorityClass": {"create": True, "value": 1_000_000_000},
    "workerGroups": {"cpu": {"idleTimeoutSeconds": 2_000_000, "maxReplicas": 10_000}},
    "autoscaling": {"idleTimeoutSeconds": 3_000_000},
}
FORBIDDEN = {"*", "escalate", "bind", "impersonate"}


@pytest.fixture(scope="module", params=CI)
def job(request: pytest.FixtureRequest, renders: dict[Case, str]) -> Object:
    """Give the RayJob of each shape."""
    text = renders[Case(request.param, "job")]
    return next(thing for thing in objects(text) if thing["kind"] == "RayJob")


def _groups(job: Object) -> Iterator[tuple[Object, Object]]:
    """Give head and groups, each with its container."""
    spec = job["spec"]["rayClusterSpec"]
    for group in [spec["headGroupSpec"], *spec["workerGroupSpecs"]]:
        yield group, group["template"]["spec"]["containers"][0]


def _variables(container: Object) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in container["env"]}


def test_the_operator_submits_it_with_a_token_and_ends_it_in_time(job: Object) -> None:
    spec = job["spec"]
    assert spec["submissionMode"] == "HTTPMode" and spec["shutdownAfterJobFinishes"] is True
    assert spec["preRunningDeadlineSeconds"] and spec["activeDeadlineSeconds"]
    assert spec["rayClusterSpec"]["authOptions"]["mode"] == "token"
    assert spec["rayClusterSpec"]["rayVersion"]
    assert not set(spec) & {"deletionStrategy", "clusterSelector", "runtimeEnvYAML"}


def test_the_head_computes_nothing_and_is_seen(job: Object) -> None:
    head, container = next(_groups(job))
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert container["name"] == "ray-head"
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == PORTS
    variables = _variables(container)
    assert FIXED.items() <= variables.items()
    assert variables["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_every_pod_drains_before_it_is_killed(job: Object) -> None:
    for group, container in _groups(job):
        variables = _variables(container)
        grace = group["template"]["spec"]["terminationGracePeriodSeconds"]
        assert int(variables[DRAIN]) < grace
        assert "preStop" not in str(container)  # it would cut the drain short
        assert group["template"]["spec"].get("restartPolicy", "Never") == "Never"


def test_shared_memory_is_mounted_and_within_the_limit(job: Object) -> None:
    for group, container in _groups(job):
        volumes = {one["name"]: one for one in group["template"]["spec"]["volumes"]}
        mounts = {one["mountPath"]: volumes[one["name"]] for one in container["volumeMounts"]}
        shared = mounts["/dev/shm"]["emptyDir"]
        assert shared["medium"] == "Memory"
        limits = container["resources"]["limits"]
        assert number(shared["sizeLimit"]) <= number(limits["memory"]) / 2
        assert number(mounts["/tmp"]["emptyDir"]["sizeLimit"]) <= number(
            limits["ephemeral-storage"]
        )


def test_workers_are_of_fixed_number_or_scaled_within_their_bounds(job: Object) -> None:
    spec = job["spec"]["rayClusterSpec"]
    bounds = [(g["minReplicas"], g["maxReplicas"]) for g in spec["workerGroupSpecs"]]
    assert all(low <= high for low, high in bounds)
    grows = any(low < high for low, high in bounds)
    for group in spec["workerGroupSpecs"]:
        low, high = group["minReplicas"], group["maxReplicas"]
        assert low <= group.get("replicas", low) <= high
    assert bool(spec.get("enableInTreeAutoscaling")) <= grows


@pytest.mark.parametrize("version", [(1, 6), (1, 7)])
def test_the_operator_has_nothing_against_any_shape(
    version: tuple[int, int], things: list[tuple[Case, Object]]
) -> None:
    for case, thing in things:
        if thing["kind"] in {"RayJob", "RayCluster"}:
            assert problems(thing, version=version) == [], f"{named(thing)} of {case}"
        if thing["kind"] == "RayJob":
            assert dangers(thing) == [], f"{named(thing)} of {case}"


def test_no_pod_gets_a_service_account_token_that_it_does_not_need(
    things: list[tuple[Case, Object]],
) -> None:
    for _, thing in things:
        for name, pod in pods(thing):
            scales = any(c["name"] == "autoscaler" for c in pod["spec"]["containers"])
            if not scales:
                assert pod["spec"].get("automountServiceAccountToken") is False, name


def test_no_account_may_do_everything_or_read_all_secrets(
    things: list[tuple[Case, Object]],
) -> None:
    rules = [rule for _, t in things if t["kind"] == "Role" for rule in t["rules"]]
    assert rules
    for rule in rules:
        assert not FORBIDDEN & {*rule["verbs"], *rule["resources"], *rule["apiGroups"]}, rule
        if "secrets" in rule["resources"]:
            assert rule["verbs"] == ["get"] and rule["resourceNames"], rule


@pytest.mark.parametrize("values", CI)
def test_the_published_values_give_the_same_run(
    values: str, renders: dict[Case, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(Path(needed("helm")).parent), prepend=os.pathsep)
    found = [t for t in objects(renders[Case(values)]) if t["kind"] == "ConfigMap"]
    (platform,) = [t for t in found if "values.yaml" in t["data"]]
    own = yaml.safe_load(platform["data"]["values.yaml"])
    assert "job" not in own
    (wanted,) = [t for t in objects(renders[Case(values, "job")]) if t["kind"] == "RayJob"]
    run = {"render": True, "name": RUN, "kind": "tune", "entrypoint": wanted["spec"]["entrypoint"]}
    assert chart.rendered(RELEASE, NAMESPACE, {**chart.published(own), "job": run}) == wanted


def test_large_numbers_of_a_values_file_stay_whole(tmp_path: Path) -> None:
    # Helm reads numbers of a file as floats, and prints a million as 1e+06.
    file = tmp_path / "large.yaml"
    file.write_text(yaml.safe_dump(LARGE), "utf-8")
    more = ("-f", CHART / "ci" / "default-values.yaml", "-f", file, "--kube-version", "1.34.0")
    sets = [part for line in MODES["job"] for part in ("--set", line)]
    ended = helm("template", RELEASE, CHART, *more, *sets)
    assert ended.code == 0, ended.error
    assert "e+0" not in "".join(line for line in ended.output.splitlines() if "expr" not in line)
    found = {thing["kind"]: thing for thing in objects(ended.output)}
    assert found["PriorityClass"]["value"] == LARGE["priorityClass"]["value"]
    assert found["RayJob"]["spec"]["activeDeadlineSeconds"] == 31_000_000
    assert found["RayJob"]["spec"]["ttlSecondsAfterFinished"] == 30_000_000
