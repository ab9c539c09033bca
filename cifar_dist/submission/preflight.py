"""A look before a run is created: one row a check, with its remedy. Nothing is changed."""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from cifar_dist.config import S3
from cifar_dist.documents.doctor import CheckRow, Verdict
from cifar_dist.errors import CifarDistError, ConfigError, RunError
from cifar_dist.submission import rules
from cifar_dist.submission.door import ForbiddenError, NotFoundError
from cifar_dist.submission.observed import Object, dig, items, text

_AT_ONCE = 6


class Reader(Protocol):
    """What a preflight asks of a cluster."""

    @property
    def namespace(self) -> str:
        """Whose objects are read."""

    def get(self, path: str) -> dict[str, Any]:
        """Give what the API server has under a path."""

    def text(self, *arguments: str) -> str:
        """Give what kubectl prints."""


@dataclass(frozen=True)
class Flight:
    """What is to be created, and where."""

    manifest: Object
    pods: tuple[int, int]
    """The fewest and the most pods of workers."""
    store: str
    s3: S3
    """How the store is reached, as far as the platform says it."""
    operator_namespace: str
    release: str
    """Version of the platform's chart; empty without a platform."""
    reader: Reader

    def get(self, path: str) -> dict[str, Any]:
        """Read from the API server; {namespace} is filled in."""
        return self.reader.get(path.replace("{namespace}", self.reader.namespace))

    @property
    def workers(self) -> dict[str, Object]:
        """Pod specifications of the groups of workers."""
        groups = items(self.manifest, "spec", "rayClusterSpec", "workerGroupSpecs")
        return {text(group, "groupName"): dig(group, "template", "spec") or {} for group in groups}

    @property
    def groups(self) -> dict[str, Object]:
        """Those of all pods, the head's first."""
        head = dig(self.manifest, "spec", "rayClusterSpec", "headGroupSpec", "template", "spec")
        return {"head": head or {}, **self.workers}

    @property
    def autoscaler(self) -> Object | None:
        """The container that the operator adds to the head."""
        cluster = dig(self.manifest, "spec", "rayClusterSpec")
        if not dig(cluster, "enableInTreeAutoscaling"):
            return None
        usual = {"requests": {"cpu": "500m", "memory": "512Mi"}}
        return {"resources": dig(cluster, "autoscalerOptions", "resources") or usual}


class Finding(NamedTuple):
    """What a check came to."""

    verdict: Verdict
    found: str
    remedy: str | None = None
    kind: type[CifarDistError] = ConfigError


Check = Callable[[Flight], Finding]


def examined(flight: Flight, checks: Mapping[str, Check]) -> Iterator[CheckRow]:
    """Make all checks, some at once; gives their rows in order."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(lambda pair: _row(flight, *pair), checks.items())


def _row(flight: Flight, name: str, check: Check) -> CheckRow:
    started = time.monotonic()
    try:
        found = check(flight)
    except ForbiddenError:
        found = Finding("skipped", "this account may not look")
    except CifarDistError as error:
        said, _, remedy = " ".join(str(error).split()).rpartition("; ")
        found = Finding("failed", said or remedy, remedy if said else None, type(error))
    return CheckRow(
        name=name,
        verdict=found.verdict,
        found=found.found,
        remedy=found.remedy,
        exit_code=found.kind.exit_code if found.verdict == "failed" else 0,
        seconds=round(time.monotonic() - started, 3),
    )


def operators_rules(flight: Flight) -> Finding:
    """Ask the operator's rules, without the operator."""
    found = [*rules.problems(flight.manifest), *rules.dangers(flight.manifest)]
    if found:
        return Finding("failed", "; ".join(found), "correct the platform's values")
    return Finding("ok", "the operator has nothing against it")


def image(flight: Flight) -> Finding:
    """Look whether what runs is pinned."""
    images = {
        text(container, "image") for pod in flight.groups.values()
        for container in items(pod, "containers")
    }  # fmt: skip
    loose = sorted(name for name in images if "@sha256:" not in name)
    if loose:
        return Finding(
            "warning",
            f"{', '.join(loose)} is named by a tag, which may come to mean another image",
            "set image.digest in the platform's values",
        )
    return Finding("ok", "pinned by its digest")


def operator(flight: Flight) -> Finding:
    """Look for the kind RayJob and the operator's version."""
    try:
        served = flight.get("/apis/ray.io/v1")
    except NotFoundError:
        served = {}
    if not any(text(kind, "name") == "rayjobs" for kind in items(served, "resources")):
        return Finding(
            "failed", "the cluster does not know ray.io/v1 RayJob", "install the KubeRay operator"
        )
    version = _operators_version(flight)
    if version is None:
        return Finding("ok", "ray.io/v1 RayJob is served; the operator's version is not shown")
    return Finding("ok", f"ray.io/v1 RayJob is served, operator {version}")


def _operators_version(flight: Flight) -> str | None:
    path = f"/apis/apps/v1/namespaces/{flight.operator_namespace}/deployments"
    try:
        found = flight.get(path)
    except (ForbiddenError, NotFoundError):
        return None
    for deployment in items(found, "items"):
        for container in items(deployment, "spec", "template", "spec", "containers"):
            name, _, tag = text(container, "image").partition("@")[0].rpartition(":")
            if "kuberay" in name:
                return tag
    return None


def namespace(flight: Flight) -> Finding:
    """Look for the namespace and its level of Pod Security."""
    try:
        found = flight.get("/api/v1/namespaces/{namespace}")
    except NotFoundError:
        return Finding("failed", "the namespace does not exist", "create it with `make deploy`")
    level = text(found, "metadata", "labels", "pod-security.kubernetes.io/enforce")
    if level == "restricted":
        return Finding("ok", "Pod Security restricted is enforced")
    return Finding(
        "warning",
        f"Pod Security enforces {level or 'nothing'}",
        "label it pod-security.kubernetes.io/enforce=restricted, which the chart's pods pass",
    )


def platform(flight: Flight) -> Finding:
    """Compare the platform's version with this program's."""
    from cifar_dist import __version__

    if not flight.release:
        return Finding("skipped", "values come from this machine")
    if flight.release != __version__:
        return Finding(
            "warning",
            f"the platform is {flight.release}, this program {__version__}",
            "upgrade the release with `make deploy`, or use its version of the program",
        )
    return Finding("ok", f"version {flight.release}")


def accounts(flight: Flight) -> Finding:
    """Look for the ServiceAccounts of the pods."""
    names = {text(pod, "serviceAccountName") or "default" for pod in flight.groups.values()}
    lacking = []
    for name in sorted(names):
        try:
            flight.get(f"/api/v1/namespaces/{{namespace}}/serviceaccounts/{name}")
        except NotFoundError:
            lacking.append(name)
    if lacking:
        return Finding(
            "failed", f"there is no ServiceAccount {', '.join(lacking)}", "run `make deploy`"
        )
    return Finding("ok", ", ".join(sorted(names)))


def secrets(flight: Flight) -> Finding:
    """Look for the Secrets that are named and their keys; kubectl shows no value of them."""
    wanted = _secrets(flight)
    lacking, hidden = [], []
    for name, keys in sorted(wanted.items()):
        template = "--output=go-template={{range $key, $_ := .data}}{{$key}} {{end}}"
        try:
            there = flight.reader.text("get", "secret", name, template).split()
        except ForbiddenError:
            hidden.append(name)
        except NotFoundError:
            lacking.append(name)
        else:
            lacking += [f"{name} with the key {key}" for key in sorted(keys - {*there})]
    if lacking:
        return Finding(
            "failed", f"there is no Secret {', '.join(lacking)}", "create it, see deploy/README.md"
        )
    unseen = f"this account may not look at {', '.join(hidden)}" if hidden else ""
    if hidden and len(hidden) == len(wanted):
        return Finding("skipped", unseen)
    seen = ", ".join(sorted(wanted.keys() - {*hidden}))
    return Finding(
        "ok", "; ".join(filter(None, (seen, unseen))) or "none is named; the operator makes a token"
    )


def _secrets(flight: Flight) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    cluster = dig(flight.manifest, "spec", "rayClusterSpec")
    if token := text(cluster, "authOptions", "secretName"):
        found[token] = {"auth_token"}
    for pod in flight.groups.values():
        for container in items(pod, "containers"):
            for entry in items(container, "env"):
                reference = dig(entry, "valueFrom", "secretKeyRef") or {}
                if reference.get("name") and not reference.get("optional"):
                    found.setdefault(str(reference["name"]), set()).add(str(reference.get("key")))
    return found


def quota(flight: Flight) -> Finding:
    """Compare what the first pods ask for with quotas and limit ranges."""
    from cifar_dist.submission.fitting import added, asked_by, limits_of, over_limits, over_quota

    asked = asked_by(flight.groups["head"], flight.autoscaler)
    limits = limits_of(flight.groups["head"], flight.autoscaler)
    for pod in flight.workers.values():
        asked = added(asked, asked_by(pod), flight.pods[0])
        limits = added(limits, limits_of(pod), flight.pods[0])
    found = []
    for each in items(flight.get("/api/v1/namespaces/{namespace}/resourcequotas"), "items"):
        found += [f"quota {text(each, 'metadata', 'name')}: {said}"
                  for said in over_quota(asked, limits, each)]  # fmt: skip
    for each in items(flight.get("/api/v1/namespaces/{namespace}/limitranges"), "items"):
        for pod in flight.groups.values():
            found += over_limits(pod, each)
    if found:
        return Finding(
            "failed", "; ".join(found), "ask for less, or have the quota raised", RunError
        )
    return Finding("ok", "quotas and limit ranges leave room")
