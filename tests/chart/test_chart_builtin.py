"""Built-in objects, and the pods that all objects lead to, are valid on every version."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema
import pytest
from kubernetes_validate import utils
from referencing import Registry, Resource

from tests.chart.injected import pods
from tests.chart.quantities import number
from tests.chart.renders import KUBERNETES, Case, Object, changed, named

CUSTOM = {"ray.io", "monitoring.coreos.com", "gateway.networking.k8s.io", "kueue.x-k8s.io"}


@cache
def _definitions(folder: str) -> Any:
    contents = utils.schema_contents(f"kubernetes-json-schema/{folder}/_definitions.json", "")
    return Resource.from_contents(contents) @ Registry()


@cache
def _validator(version: str, api_version: str, kind: str) -> Any:
    # The library's own validate() reads its definitions again for every object: 0.1 s each.
    folder = f"v{utils.major_minor(version)}.0-local-strict"
    group, _, number = api_version.rpartition("/")
    name = "-".join([kind.lower(), *([group.split(".")[0]] if group else []), number])
    schema = utils.schema_contents(f"kubernetes-json-schema/{folder}/{name}.json", version)
    return jsonschema.Draft202012Validator(schema, registry=_definitions(folder))


def said(thing: Object, version: str) -> list[str]:
    """Say what a version has against an object."""
    errors = _validator(version, thing["apiVersion"], thing["kind"]).iter_errors(thing)
    return [f"{error.json_path}: {error.message}" for error in errors]


def _built_in(things: list[tuple[Case, Object]]) -> Iterator[tuple[Case, Object]]:
    for case, thing in things:
        group = thing["apiVersion"].rpartition("/")[0]
        if group not in CUSTOM:
            yield case, thing


@pytest.mark.parametrize("version", KUBERNETES)
def test_built_in_objects_are_valid(version: str, things: list[tuple[Case, Object]]) -> None:
    wrong = {f"{named(t)} of {case}": r for case, t in _built_in(things) if (r := said(t, version))}
    assert not wrong


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_pod_is_valid(version: str, things: list[tuple[Case, Object]]) -> None:
    found = {name: (case, pod) for case, thing in things for name, pod in pods(thing)}
    wrong = {f"{n} of {case}": r for n, (case, pod) in found.items() if (r := said(pod, version))}
    assert found and not wrong


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.containers.0.imagePulPolicy", "Always"),
        ("spec.containers.0.ports.0.containerPort", "6379"),
        ("spec.containers.0.name", None),
        ("spec.tolerations", {"key": "spot"}),
    ],
)
def test_a_broken_pod_is_refused(
    things: list[tuple[Case, Object]], path: str, value: object
) -> None:
    pod = next(pod for _, thing in things for name, pod in pods(thing) if name.endswith("head"))
    assert said(changed(pod, path, value), KUBERNETES[-1])


def test_a_pod_asks_for_no_more_than_its_limit_and_mounts_what_it_has(
    things: list[tuple[Case, Object]],
) -> None:
    for _, thing in things:
        for name, pod in pods(thing):
            volumes = {volume["name"] for volume in pod["spec"].get("volumes") or []}
            for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
                mounts = [mount["name"] for mount in container.get("volumeMounts") or []]
                assert set(mounts) <= volumes, f"{name} {container['name']}"
                resources = container.get("resources") or {}
                for what, limit in (resources.get("limits") or {}).items():
                    asked = (resources.get("requests") or {}).get(what, limit)
                    assert number(asked) <= number(limit), f"{name} {what}"
