"""The platform installed into a namespace: its secrets, its release, its cluster, its tests."""

import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cifar_dist.config import shipped_chart
from cifar_dist.errors import ConfigError, RunError
from cifar_dist.submission.causes import why_pending
from cifar_dist.submission.chart import full_name, given_to_helm, merged
from cifar_dist.submission.door import ForbiddenError, NotFoundError
from cifar_dist.submission.installation import platform_of, read, values_of
from cifar_dist.submission.kubectl import AlreadyThereError, Kubectl
from cifar_dist.submission.observed import items, text, uid_of
from cifar_dist.submission.snapshot import Snapshot, events_of
from cifar_dist.submission.values import Values, complete

OPERATOR = (
    "helm install kuberay-operator kuberay-operator --version 1.7.0 "
    "--repo https://ray-project.github.io/kuberay-helm --namespace kuberay-system "
    "--create-namespace"
)
_LEVEL = "pod-security.kubernetes.io/"
_READY_SECONDS = 900.0
_POLL_SECONDS = 3.0
_STDERR = 2  # stdout is for a result
_HELM_SECONDS = 1200.0  # the hooks of a release have ten minutes each

Tell = Callable[[str], None]
Json = dict[str, Any]


@dataclass(frozen=True)
class Release:
    """What is installed, and where."""

    door: Kubectl
    name: str
    files: tuple[Path, ...] = ()
    """Values laid over the chart's; without any those that it has, or a development platform's."""


class Installed(NamedTuple):
    """What came of it."""

    values: Values
    full: str
    """What names of its objects begin with; also its RayCluster's name."""


def deploy(release: Release, tell: Tell, sleep: Callable[[float], None] = time.sleep) -> Installed:
    """Install or upgrade the platform, wait for its RayCluster, and test its token and store.

    Raises ConfigError without the operator or with wrong values, RunError if it does not come up.
    """
    door = release.door
    kept, given = _asked(release, tell)
    full = full_name(release.name, merged(*kept, *given))
    given.append(_named_secrets(full, complete(*kept, *given)))
    values = complete(*kept, *given)
    _require_operator(door)
    _make_namespace(door, tell)
    _make_secrets(door, values, tell)
    flags = ["--reset-then-reuse-values"] if kept else []
    chart = str(shipped_chart())
    _helm(release, ["upgrade", "--install", release.name, chart, *flags], merged(*given))
    if values.mode == "cluster":
        _await_cluster(door, full, tell, sleep)
    _helm(release, ["test", release.name])
    tell(f"{release.name} in {door.namespace} is ready; its token and store were tested")
    return Installed(values, full)


_DEVELOPMENT: Json = {
    "mode": "cluster",
    "store": {
        "uri": "s3://cifar-dist/dev",
        "bootstrap": {"enabled": True},
        "dev": {"enabled": True},
    },
}


def _asked(release: Release, tell: Tell) -> tuple[list[Json], list[Json]]:
    """Give the values that the release has and helm keeps, and those that it is given.

    What it published lacks all that may hold a secret, so only helm can keep the whole.
    """
    if release.files:
        return [], [read(path) for path in release.files]
    found = platform_of(release.door, release.name, {})
    if found is not None:
        tell(f"no --values: {release.name} is upgraded with the values that it has")
        return [values_of(found)], []
    tell("no --values: a development platform, whose store is lost with its pod")
    return [], [_DEVELOPMENT]


def _named_secrets(full: str, values: Values) -> Json:
    """Name the Secrets that are made here where the values name none."""
    named: Json = {}
    if values.ray.auth.mode == "token":
        secret = values.ray.auth.existing_secret or f"{full}-token"
        named["ray"] = {"auth": {"existingSecret": secret}}
    if values.store.dev.enabled:
        named["store"] = {"existingSecret": values.store.existing_secret or f"{full}-store"}
    return named


def _require_operator(door: Kubectl) -> None:
    try:
        door.get("/apis/ray.io/v1")
    except NotFoundError:
        raise ConfigError(f"this cluster has no KubeRay operator; install it: {OPERATOR}") from None


def _make_namespace(door: Kubectl, tell: Tell) -> None:
    try:
        door.get(f"/api/v1/namespaces/{door.namespace}")
    except ForbiddenError:
        return  # whoever may not look at it works in one that is there
    except NotFoundError:
        levels = dict.fromkeys((f"{_LEVEL}enforce", f"{_LEVEL}audit"), "restricted")
        metadata = {"name": door.namespace, "labels": levels}
        door.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        tell(f"namespace {door.namespace} is made, with Pod Security restricted")


def _make_secrets(door: Kubectl, values: Values, tell: Tell) -> None:
    """Make the Secrets that are not there; what is there is never changed or read."""
    if values.ray.auth.mode == "token":
        _make_secret(door, values.ray.auth.existing_secret, {"auth_token": _random()}, tell)
    if values.store.dev.enabled:
        keys = {"AWS_ACCESS_KEY_ID": "cifar-dist", "AWS_SECRET_ACCESS_KEY": _random()}
        _make_secret(door, values.store.existing_secret, keys, tell)


def _random() -> str:
    return secrets.token_hex(32)


def _make_secret(door: Kubectl, name: str, data: Mapping[str, str], tell: Tell) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    try:
        door.create({**secret, "stringData": dict(data)})
    except AlreadyThereError:
        return
    tell(f"Secret {name} is made, with random {', '.join(data)}")


def _helm(release: Release, command: list[str], values: Json | None = None) -> None:
    """Run helm, whose words go to stderr. Raises ConfigError without helm, RunError if it fails."""
    helm = shutil.which("helm")
    if helm is None:
        raise ConfigError("helm is not on PATH; install Helm 3.17 or later")
    flags = [f"--namespace={release.door.namespace}", "--timeout=10m"]
    if release.door.context:
        flags.append(f"--kube-context={release.door.context}")
    if values is not None:
        flags += ["--wait", "--values=-"]
    try:
        ended = subprocess.run(
            [helm, *command, *flags],
            input=given_to_helm(values or {}),
            stdout=_STDERR,
            text=True,
            timeout=_HELM_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RunError(f"helm {command[0]} did not end within 20 minutes") from error
    if ended.returncode:
        raise RunError(
            f"helm {command[0]} failed as it says above; look with `kubectl --namespace "
            f"{release.door.namespace} get pods,events` and do it again"
        )


def _await_cluster(door: Kubectl, name: str, tell: Tell, sleep: Callable[[float], None]) -> None:
    """Wait until all of a RayCluster's pods are ready, telling what is in the way."""
    causes: dict[str, None] = {}
    until = time.monotonic() + _READY_SECONDS
    while time.monotonic() < until:
        cluster = door.json("get", "rayclusters.ray.io", name)
        if text(cluster, "status", "state") == "ready":
            tell(f"RayCluster {name} is ready")
            return
        pods = items(door.json("get", "pods", "-l", f"ray.io/cluster={name}"), "items")
        status = {"jobDeploymentStatus": "Initializing", "rayClusterName": name}
        seen = Snapshot(
            {"metadata": {"name": name, "uid": uid_of(cluster)}, "status": status}, pods
        )
        for cause in why_pending(seen.job, pods, events_of(door, seen)):
            if cause not in causes:
                tell(f"waiting: {cause}")
            causes[cause] = None
        sleep(_POLL_SECONDS)
    last = f"; last seen: {list(causes)[-1]}" if causes else ""
    raise RunError(f"RayCluster {name} is not ready after {_READY_SECONDS / 60:.0f} minutes{last}")
