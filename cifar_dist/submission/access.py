"""Ways into a platform from outside: its dashboard, and its store where only pods can reach it."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from cifar_dist.errors import ConfigError, RunError
from cifar_dist.submission.door import NotFoundError, UnreachableError
from cifar_dist.submission.forward import Forward, forwarded
from cifar_dist.submission.jobs_api import JobsApi
from cifar_dist.submission.kubectl import Kubectl
from cifar_dist.submission.observed import head_of, items, name_of, state, text
from cifar_dist.submission.snapshot import Snapshot, listed, look
from cifar_dist.submission.values import Values

_TOKEN = "auth_token"  # the key that KubeRay reads
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_DASHBOARD_PORT = 8265
_PORTS = {"http": 80, "https": 443}


def newest(door: Kubectl, wanted: tuple[str, ...]) -> str | None:
    """Name the newest submitted job in one of some states."""
    found = [job for job in listed(door) if state(job) in wanted]
    last = max(found, key=lambda job: text(job, "metadata", "creationTimestamp"), default=None)
    return None if last is None else name_of(last)


def cluster_of(door: Kubectl, full: str, name: str | None) -> str:
    """Name the RayCluster of a job, of the newest one that runs, or of the platform.

    Raises ConfigError if there is none.
    """
    name = name or newest(door, ("running", "starting"))
    if name is not None:
        found = look(door, name).cluster
        if found:
            return found
        raise ConfigError(f"{name} has no cluster now; see `cifar-dist submit status {name}`")
    try:
        return name_of(door.json("get", "rayclusters.ray.io", full))
    except NotFoundError:
        raise ConfigError(
            "no job runs and the platform has no cluster of its own; submit one, or install the "
            "platform with mode: cluster"
        ) from None


@contextmanager
def dashboard(door: Kubectl, cluster: str, local: int | None) -> Iterator[Forward]:
    """Open a RayCluster's dashboard on this machine. Raises ConfigError or RunError."""
    pods = items(door.json("get", "pods", "-l", f"ray.io/cluster={cluster}"), "items")
    head = head_of(pods)
    if head is None:
        raise ConfigError(f"RayCluster {cluster} has no head pod; see `submit status`")
    with forwarded(door, f"pod/{name_of(head)}", _DASHBOARD_PORT, local) as way:
        yield way


def stop_driver(door: Kubectl, seen: Snapshot) -> None:
    """Ask the Ray of a job to stop its driver, with the job's own token.

    Raises ConfigError, ForbiddenError, UnreachableError for a silent API server, and RunError for
    a silent dashboard.
    """
    own = text(seen.job, "spec", "rayClusterSpec", "authOptions", "secretName")
    token = secret(door, own or seen.cluster, (_TOKEN,))[_TOKEN]
    with dashboard(door, seen.cluster, None) as way:
        address = f"http://127.0.0.1:{way.port}"
        try:
            JobsApi(address, token).stop(text(seen.job, "status", "jobId"))
        except UnreachableError as error:
            raise RunError(f"the dashboard of {seen.cluster} does not answer") from error


def secret(door: Kubectl, name: str, keys: tuple[str, ...]) -> dict[str, str]:
    """Read keys of a Secret. Raises ConfigError for one without them, and as the door does."""
    found = door.json("get", "secret", name)
    try:
        read = {
            key: base64.b64decode(text(found, "data", key), validate=True).decode() for key in keys
        }
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"Secret {name} holds something else than text") from error
    if missing := [key for key, value in read.items() if not value]:
        raise ConfigError(f"Secret {name} has no key {missing[0]}; add it")
    return read


@contextmanager
def store_environment(
    door: Kubectl, values: Values, full: str, environment: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """Give the variables that lead to the platform's store from this machine.

    A server inside the cluster is reached through a forwarded port. Keys that the environment has
    are kept, unless the server is the platform's own; others come from its Secret.
    """
    store = values.store
    found = {"AWS_REGION": store.region}
    if store.existing_secret and (store.is_in_cluster or _KEYS[0] not in environment):
        found |= secret(door, store.existing_secret, _KEYS)
    endpoint = store.address(full)
    inside = _inside(endpoint, door)
    if inside is None:
        yield found | (_endpoints(endpoint) if endpoint else {})
        return
    place, service, port = inside
    with forwarded(place, f"svc/{service}", port) as way:
        yield found | _endpoints(f"http://127.0.0.1:{way.port}")


def _endpoints(address: str) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL": address, "AWS_ENDPOINT_URL_S3": address}


def _inside(endpoint: str, door: Kubectl) -> tuple[Kubectl, str, int] | None:
    """Find the Service that an endpoint names; None if it can be reached from everywhere."""
    parts = urlsplit(endpoint)
    words = (parts.hostname or "").split(".")
    if parts.scheme != "http" or not words[0] or (len(words) > 1 and words[2:3] != ["svc"]):
        return None
    place = replace(door, namespace=words[1]) if len(words) > 1 else door
    return place, words[0], parts.port or _PORTS[parts.scheme]
