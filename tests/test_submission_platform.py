"""Installing the platform: its values, its Secrets, waiting for its cluster."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.errors import ConfigError, RunError
from cifar_dist.submission.door import NotFoundError
from cifar_dist.submission.kubectl import AlreadyThereError, Kubectl
from cifar_dist.submission.platform import Release, deploy
from tests.submitted_jobs import Json, event, no_sleep, pod

OPERATOR = "/apis/ray.io/v1"
NAMESPACE = "/api/v1/namespaces/team"


@dataclass(frozen=True)
class Cluster(Kubectl):
    """A door to a cluster that holds what a test says."""

    there: dict[str, Any] = field(default_factory=dict)
    """By path, by `KIND NAME` or by `KIND` for a list; a list of answers is given in turn."""
    created: list[Json] = field(default_factory=list)

    def get(self, path: str) -> dict[str, Any]:
        """Give what is there."""
        if path not in self.there:
            raise NotFoundError(path)
        found = self.there[path]
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        return dict(found)

    def json(self, *arguments: str) -> dict[str, Any]:
        """Give a list, or an object by its name."""
        if arguments[2].startswith("-"):
            return {"items": self.there.get(arguments[1], [])}
        return self.get(" ".join(arguments[1:3]))

    def create(self, manifest: Any) -> dict[str, Any]:
        """Keep it, once."""
        if any(each["metadata"] == manifest["metadata"] for each in self.created):
            raise AlreadyThereError("it is there")
        self.created.append(dict(manifest))
        if manifest["kind"] == "Namespace":
            self.there[f"/api/v1/namespaces/{manifest['metadata']['name']}"] = {}
        return dict(manifest)


def program(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program onto the PATH."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def helm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a helm that writes down what it is asked and given; gives the folder."""
    program(
        tmp_path,
        "helm",
        f'echo "$@" >> {tmp_path}/calls\n[ "$1" = upgrade ] && cat > {tmp_path}/values\nexit 0',
        monkeypatch,
    )
    return tmp_path


def ready(**more: Any) -> Cluster:
    there = {OPERATOR: {}, "rayclusters.ray.io cifar-dist": {"status": {"state": "ready"}}}
    return Cluster("team", "prod", there={**there, **more})


def test_a_deployment_without_values_is_a_small_platform_with_secrets_of_its_own(
    helm: Path,
) -> None:
    door, told = ready(), []
    deploy(Release(door, "cifar-dist"), told.append, no_sleep)
    kinds = [(each["kind"], each["metadata"]["name"]) for each in door.created]
    assert kinds == [
        ("Namespace", "team"), ("Secret", "cifar-dist-token"), ("Secret", "cifar-dist-store"),
    ]  # fmt: skip
    assert set(door.created[0]["metadata"]["labels"].values()) == {"restricted"}
    upgrade, test = (helm / "calls").read_text().splitlines()
    assert upgrade.startswith("upgrade --install cifar-dist ") and "--wait" in upgrade
    assert "reuse" not in upgrade
    assert test.startswith("test cifar-dist ") and "--kube-context=prod" in test
    values = json.loads((helm / "values").read_text())
    assert values["mode"] == "cluster"
    assert values["ray"]["auth"]["existingSecret"] == "cifar-dist-token"
    assert "RayCluster cifar-dist is ready" in told


def test_no_secret_is_told_or_given_to_helm(helm: Path) -> None:
    door, told = ready(), []
    deploy(Release(door, "cifar-dist"), told.append, no_sleep)
    words = " ".join(told) + (helm / "calls").read_text() + (helm / "values").read_text()
    made = [each["stringData"] for each in door.created if each["kind"] == "Secret"]
    tokens = [value for data in made for value in data.values() if len(value) > 20]
    assert len(tokens) == len(set(tokens)) == 2
    assert not any(token in words for token in tokens)


@pytest.mark.usefixtures("helm")
def test_a_second_deployment_leaves_the_secrets_as_they_are() -> None:
    door, told = ready(), []
    release = Release(door, "cifar-dist")
    deploy(release, no_tell, no_sleep)
    before = list(door.created)
    deploy(release, told.append, no_sleep)
    assert door.created == before
    assert not any("is made" in each for each in told)


def no_tell(_: str) -> None:
    """Tell nobody."""


def test_own_values_are_taken_as_they_are(helm: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("store: {uri: s3://bucket/team}\nray: {auth: {existingSecret: mine}}\n")
    door = Cluster("team", there={OPERATOR: {}, NAMESPACE: {}})
    deploy(Release(door, "cifar-dist", (file,)), no_tell, no_sleep)
    assert [each["metadata"]["name"] for each in door.created] == ["mine"]
    assert json.loads((helm / "values").read_text())["store"] == {"uri": "s3://bucket/team"}


def test_without_the_operator_its_pinned_installation_is_named_and_nothing_made(
    helm: Path,
) -> None:
    door = Cluster("team")
    with pytest.raises(ConfigError, match=r"helm install kuberay-operator .*--version 1\.7\.0"):
        deploy(Release(door, "cifar-dist"), no_tell, no_sleep)
    assert door.created == []
    assert not (helm / "calls").exists()


def test_a_wrong_value_is_told_before_anything_is_made(helm: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("mode: both\n")
    door = ready()
    with pytest.raises(ConfigError, match="mode"):
        deploy(Release(door, "cifar-dist", (file,)), no_tell, no_sleep)
    assert door.created == []
    assert not (helm / "calls").exists()


def test_a_deployment_without_values_keeps_those_that_the_release_has(helm: Path) -> None:
    own = "mode: job\nstore: {uri: s3://research/team}\nray: {auth: {existingSecret: mine}}\n"
    there = {"metadata": {"name": "cifar-dist-platform"}, "data": {"values.yaml": own}}
    door, told = ready(**{f"{NAMESPACE}/configmaps/cifar-dist-platform": there}), []
    deploy(Release(door, "cifar-dist"), told.append, no_sleep)
    assert json.loads((helm / "values").read_text()) == {
        "ray": {"auth": {"existingSecret": "mine"}}
    }
    assert "--reset-then-reuse-values" in (helm / "calls").read_text()
    assert [each["metadata"]["name"] for each in door.created] == ["team", "mine"]
    assert "no --values: cifar-dist is upgraded with the values that it has" in told


@pytest.mark.usefixtures("helm")
def test_a_cluster_that_does_not_come_up_is_given_up_with_what_was_in_the_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = iter(range(0, 100_000, 100))
    monkeypatch.setattr("cifar_dist.submission.platform.time.monotonic", lambda: next(now))
    head = pod("head")
    said = event("FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.", head)
    door = ready(**{"rayclusters.ray.io cifar-dist": {}, "pods": [head], "events": [said]})
    told: list[str] = []
    with pytest.raises(RunError, match="not ready after 15 minutes; last seen: head: no node has"):
        deploy(Release(door, "cifar-dist"), told.append, no_sleep)
    assert sum("enough cpu free" in each for each in told) == 1


def test_a_failing_helm_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "helm", "cat > /dev/null; exit 1", monkeypatch)
    with pytest.raises(RunError, match="helm upgrade failed as it says above"):
        deploy(Release(ready(), "cifar-dist"), no_tell, no_sleep)
