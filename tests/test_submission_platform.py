"""Installing the platform, and the ways into it: secrets, waiting, ports, the store inside."""

import base64
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.errors import ConfigError, RunError
from cifar_dist.submission.access import cluster_of, newest, secret, store_environment
from cifar_dist.submission.door import NotFoundError
from cifar_dist.submission.forward import forwarded
from cifar_dist.submission.kubectl import AlreadyThereError, Kubectl
from cifar_dist.submission.platform import Release, deploy
from cifar_dist.submission.values import complete
from tests.submitted_jobs import Json, event, job, no_sleep, pod, running

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


@pytest.mark.usefixtures("helm")
def test_a_cluster_that_does_not_come_up_is_given_up_with_what_was_in_the_way() -> None:
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


def test_a_forwarded_port_is_this_machines_and_ends_with_its_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(
        tmp_path,
        "kubectl",
        f'echo "$@" > {tmp_path}/call; echo "Forwarding from 127.0.0.1:43210 -> 8265"\n'
        f"echo $$ > {tmp_path}/pid; exec sleep 60",
        monkeypatch,
    )
    with forwarded(Kubectl("team", "prod"), "svc/store", 7070) as way:
        assert way.port == 43210
        way.process.kill()
        with pytest.raises(RunError, match="the connection ended"):
            way.wait()
    call = (tmp_path / "call").read_text()
    assert "--address=127.0.0.1 svc/store :7070" in call
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_port_that_cannot_be_forwarded_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "kubectl", "echo 'error: pod is not running' >&2; exit 1", monkeypatch)
    with (
        pytest.raises(RunError, match="cannot be forwarded: error: pod is not running"),
        forwarded(Kubectl("team"), "pod/x", 8265),
    ):
        pass


def encoded(**data: str) -> Json:
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}}


def test_a_secret_is_read_by_its_keys_alone() -> None:
    door = Cluster("team", there={"secret s": encoded(a="1", b="2"), "secret odd": {"data": 3}})
    assert secret(door, "s", ("a",)) == {"a": "1"}
    for name in ("s", "odd"):
        with pytest.raises(ConfigError, match="no key c"):
            secret(door, name, ("c",))


def test_the_dashboard_is_the_running_jobs_or_the_platforms() -> None:
    there: Json = {"rayclusters.ray.io cifar-dist": {"metadata": {"name": "cifar-dist"}}}
    assert cluster_of(Cluster("team", there=there), "cifar-dist", None) == "cifar-dist"
    jobs = {
        "rayjobs.ray.io": [running()],
        f"rayjobs.ray.io {running()['metadata']['name']}": running(),
    }
    both = Cluster("team", there={**there, **jobs})
    assert cluster_of(both, "cifar-dist", None).startswith("quickstart-1a2b3c4d-")
    with pytest.raises(ConfigError, match="no job runs"):
        cluster_of(Cluster("team"), "cifar-dist", None)


def test_the_newest_job_in_a_state_is_found() -> None:
    jobs = [job("Complete", "SUCCEEDED"), job("Complete", "SUCCEEDED"), running()]
    for each, day in zip(jobs, (2, 1, 3), strict=True):
        each["metadata"] |= {"name": f"job-{day}", "creationTimestamp": f"2026-11-0{day}T00:00:00Z"}
    door = Cluster("team", there={"rayjobs.ray.io": jobs})
    assert newest(door, ("succeeded",)) == "job-2"
    assert newest(door, ("failed",)) is None


@pytest.mark.parametrize(
    ("store", "target"),
    [
        ({"dev": {"enabled": True}}, "--namespace=team port-forward --address=127.0.0.1 "
         "svc/cd-store :7070"),
        ({"endpoint": "http://minio.storage.svc:9000"}, "--namespace=storage port-forward "
         "--address=127.0.0.1 svc/minio :9000"),
        ({"endpoint": "http://gate"}, "--namespace=team port-forward --address=127.0.0.1 svc/gate "
         ":80"),
    ],
)  # fmt: skip
def test_a_store_inside_the_cluster_is_reached_through_a_port(
    store: Json, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(
        tmp_path,
        "kubectl",
        f'echo "$@" > {tmp_path}/call; echo "Forwarding from 127.0.0.1:43210 -> 1"; exec sleep 60',
        monkeypatch,
    )
    keys = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "hidden"}
    values = complete({"store": {"uri": "s3://bucket/a", "existingSecret": "keys", **store}})
    door = Cluster("team", there={"secret keys": encoded(**keys)})
    with store_environment(door, values, "cd", {}) as found:
        assert found["AWS_ENDPOINT_URL"] == found["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:43210"
        assert keys.items() <= found.items()
    assert (tmp_path / "call").read_text().strip() == target


@pytest.mark.parametrize("endpoint", ["", "https://s3.example.org"])
def test_a_store_outside_is_reached_as_it_is_with_the_callers_own_keys(endpoint: str) -> None:
    values = complete(
        {"store": {"uri": "s3://bucket/a", "endpoint": endpoint, "existingSecret": "keys"}}
    )
    own = {"AWS_ACCESS_KEY_ID": "mine"}
    with store_environment(Cluster("team"), values, "cd", own) as found:
        assert "AWS_ACCESS_KEY_ID" not in found
        assert found.get("AWS_ENDPOINT_URL", "") == endpoint
