"""What every render keeps to: names, labels, namespace, images, no secret, and the same bytes."""

import re

import pytest

from tests.chart.injected import pods
from tests.chart.renders import (
    CHART,
    CI,
    KUBERNETES,
    MODES,
    NAMESPACE,
    RELEASE,
    RUN,
    Case,
    Object,
    helm,
    named,
    nodes,
    objects,
    render_all,
    rendered,
    template,
)

NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LABEL_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?"
)
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)?")
LABELS = {
    "app.kubernetes.io/name": "cifar-dist",
    "app.kubernetes.io/part-of": "cifar-dist",
    "app.kubernetes.io/instance": RELEASE,
    "app.kubernetes.io/version": None,
    "app.kubernetes.io/managed-by": None,
    "helm.sh/chart": None,
}
SHAPES = {
    "aws-irsa", "cluster", "default", "gpu", "gpu-mig", "kueue", "minio", "no-monitoring",
    "restricted", "s3-dev", "spot",
}  # fmt: skip
OF_THE_CLUSTER = {
    "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace", "PriorityClass",
    "StorageClass", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration",
    "PersistentVolume", "ClusterQueue", "ResourceFlavor",
}  # fmt: skip
ALONE = {"extra", "priorityclass"}  # rendered by tests of their own
LONGEST = 63
LONGEST_JOB = 47  # the operator adds to the name of a RayJob
LONGEST_RELEASE = "a-release-whose-name-is-as-long-as-helm-allows-it-000"
PINNED = re.compile(r".+(@sha256:[0-9a-f]{64}|:[^:/@]*\d[^:/@]*|:dev)")
SECRET_NAME = re.compile(r"(?i)(secret|token|password|passwd|access_key|api_?key|credential)")
KEYS = re.compile(
    r"AKIA[0-9A-Z]{16}|ASIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY|gh[pousr]_[A-Za-z0-9]{36}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.eyJ|//[^/\s:@]+:[^/\s:@]+@"
)
PUBLIC = {"RAY_AUTH_MODE", "AWS_WEB_IDENTITY_TOKEN_FILE"}


def test_every_supported_shape_has_its_values() -> None:
    assert set(CI) >= SHAPES


def test_a_kubernetes_too_old_is_told_so() -> None:
    ended = template(Case("default", kubernetes="1.29.9"))
    assert ended.code and "1.30" in ended.error


@pytest.mark.parametrize("values", CI)
def test_helm_finds_nothing_to_say(values: str) -> None:
    file = CHART / "ci" / f"{values}-values.yaml"
    ended = helm("lint", "--strict", CHART, "-f", file, "--kube-version", KUBERNETES[1])
    assert ended.code == 0, ended.output + ended.error


def test_a_second_render_gives_the_same_bytes(renders: dict[Case, str]) -> None:
    again = render_all([Case("default", "options"), *(Case("default", mode) for mode in MODES)])
    assert [case for case, text in again.items() if renders[case] != text] == []


def test_no_template_goes_unseen(renders: dict[Case, str]) -> None:
    seen = {name for text in renders.values() for name in re.findall(r"(?m)^# Source: (.+)$", text)}
    there = {
        path.relative_to(CHART.parent).as_posix() for path in CHART.glob("templates/**/*.yaml")
    }
    assert there - seen <= {f"{CHART.name}/templates/{name}.yaml" for name in ALONE}


def test_names_fit_and_no_two_objects_share_one(renders: dict[Case, str]) -> None:
    for case, text in renders.items():
        found = [(thing["apiVersion"], named(thing)) for thing in objects(text)]
        assert len(set(found)) == len(found), case
        for _, name in found:
            name = name.partition("/")[2]
            assert NAME.fullmatch(name) and len(name) <= LONGEST, f"{name} of {case}"


@pytest.mark.parametrize("mode", MODES)
def test_names_fit_with_the_longest_name_of_a_release(mode: str) -> None:
    text = rendered(Case("s3-dev", mode), release=LONGEST_RELEASE)
    for thing in objects(text):
        name = thing["metadata"]["name"]
        longest = LONGEST_JOB if thing["kind"] in {"RayJob", "RayCluster"} else LONGEST
        assert NAME.fullmatch(name) and len(name) <= longest, named(thing)


def test_schedules_of_two_long_releases_have_two_names() -> None:
    case, stem = Case("default", "options"), LONGEST_RELEASE[:-1]
    things = [thing for end in "ab" for thing in objects(rendered(case, release=stem + end))]
    found = [named(thing) for thing in things if thing["kind"] == "RayCronJob"]
    assert len(set(found)) == len(found) == 2


@pytest.mark.parametrize("release", ["team.search", "2nd"])
def test_a_release_whose_name_cannot_be_a_service_s_is_told_of_the_override(release: str) -> None:
    ended = template(Case("default"), release=release)
    assert ended.code and "fullnameOverride" in ended.error
    assert template(Case("default"), "fullnameOverride=search", release=release).code == 0


def test_a_run_is_the_only_job_of_its_render(renders: dict[Case, str]) -> None:
    for case, text in renders.items():
        runs = [thing["metadata"]["name"] for thing in objects(text) if thing["kind"] == "RayJob"]
        assert runs == ([RUN] if case.mode == "job" else []), case


def test_everything_carries_the_labels(things: list[tuple[Case, Object]]) -> None:
    for case, thing in things:
        labels = thing["metadata"].get("labels", {})
        lacking = [n for n, v in LABELS.items() if not labels.get(n) or v not in {None, labels[n]}]
        assert not lacking, f"{named(thing)} of {case} lacks {lacking}"


def test_what_selects_pods_outlives_an_upgrade(things: list[tuple[Case, Object]]) -> None:
    for _, thing in things:
        for path, value in nodes(thing):
            if path.endswith((".spec.selector", ".matchLabels")):
                assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(value or {}), path


def test_labels_are_legal(things: list[tuple[Case, Object]]) -> None:
    for _, thing in things:
        for path, value in nodes(thing):
            if path.endswith(("metadata.labels", ".matchLabels")):
                for name, text in (value or {}).items():
                    legal = LABEL_KEY.fullmatch(name) and LABEL_VALUE.fullmatch(text)
                    assert legal, f"{named(thing)}{path} {name}: {text}"


def test_nothing_lands_outside_the_namespace(things: list[tuple[Case, Object]]) -> None:
    for case, thing in things:
        assert thing["kind"] not in OF_THE_CLUSTER, f"{named(thing)} of {case}"
        assert thing["metadata"].get("namespace", NAMESPACE) == NAMESPACE, named(thing)
        for subject in thing.get("subjects", []):
            assert subject.get("namespace", NAMESPACE) == NAMESPACE, named(thing)


def test_what_is_of_the_whole_cluster_comes_only_when_it_is_named() -> None:
    text = rendered(Case("default"), "priorityClass.create=true")
    kinds = {thing["kind"] for thing in objects(text)} & OF_THE_CLUSTER
    assert kinds == {"PriorityClass"}


def test_further_objects_come_as_they_are() -> None:
    given = [f"extraObjects[0].{line}" for line in ("apiVersion=v1", "kind=ConfigMap", "data.a=b")]
    found = objects(rendered(Case("default"), *given, "extraObjects[0].metadata.name=more"))
    (more,) = [thing for thing in found if thing["metadata"]["name"] == "more"]
    assert more["kind"] == "ConfigMap" and more["data"] == {"a": "b"}


def test_what_a_further_object_holds_is_told_to_nobody_else() -> None:
    given = ("apiVersion=v1", "kind=Secret", "metadata.name=mine", "stringData.password=a-secret")
    text = rendered(Case("default"), *(f"extraObjects[0].{line}" for line in given))
    assert text.count("a-secret") == 1


def test_images_are_pinned(things: list[tuple[Case, Object]]) -> None:
    images = {
        container["image"]
        for _, thing in things
        for _, pod in pods(thing)
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
    }
    assert images
    loose = [image for image in images if not PINNED.fullmatch(image) or "latest" in image]
    assert not loose


def test_no_render_holds_a_secret(renders: dict[Case, str]) -> None:
    for case, text in renders.items():
        assert not KEYS.search(text), f"{case}: {KEYS.search(text)}"
        assert not [t for t in objects(text) if t["kind"] == "Secret"], case


def test_secret_variables_come_from_secrets(things: list[tuple[Case, Object]]) -> None:
    for _, thing in things:
        for path, value in nodes(thing):
            if path.endswith(".env") and isinstance(value, list):
                for one in value:
                    if SECRET_NAME.search(one["name"]) and one["name"] not in PUBLIC:
                        assert "value" not in one and "secretKeyRef" in one["valueFrom"], one


def test_the_token_is_asked_for_under_the_key_that_the_operator_writes() -> None:
    for mode in ("job", "cluster"):
        text = rendered(Case("default", mode), "ray.auth.existingSecret=ray-token")
        ray = next(t for t in objects(text) if t["kind"] in {"RayJob", "RayCluster"})
        spec = ray["spec"].get("rayClusterSpec", ray["spec"])
        assert spec["authOptions"] == {"mode": "token", "secretName": "ray-token"}
        assert spec["rayVersion"]
        keys = {v["key"] for _, v in nodes(objects(text)) if _is_reference(v)}
        assert keys <= {"auth_token", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "ca.crt"}


def _is_reference(value: object) -> bool:
    return isinstance(value, dict) and {"name", "key"} <= set(value) and "operator" not in value
