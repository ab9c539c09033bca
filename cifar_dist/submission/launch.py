"""A run brought to a cluster: planned on its platform, rendered, examined, created or found."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_dist.config import S3, load_yaml, parse_yaml
from cifar_dist.documents.doctor import CheckRow
from cifar_dist.documents.submission import SubmissionDocument
from cifar_dist.errors import ConfigError
from cifar_dist.submission.asked import Asked
from cifar_dist.submission.chart import full_name, merged, published, rendered
from cifar_dist.submission.door import ForbiddenError, NotFoundError
from cifar_dist.submission.kubectl import AlreadyThereError, Kubectl
from cifar_dist.submission.observed import Object, items, outcome, reason, state, text
from cifar_dist.submission.preflight import Flight, examined
from cifar_dist.submission.rayjob import Plan, plan
from cifar_dist.submission.surroundings import OFFLINE, ONLINE, numbers
from cifar_dist.submission.values import Values, complete

_COMPONENT = "cifar-dist.io/component=platform"
_RELEASE = "app.kubernetes.io/instance"
_MOST_AGAIN = 999


@dataclass(frozen=True)
class Place:
    """Where a run goes, as the command line says it."""

    namespace: str
    release: str
    files: tuple[Path, ...] = ()
    """Values that are laid over the platform's."""
    door: Kubectl | None = None
    """None asks no cluster, and takes the chart's own values for the platform's."""
    line: str = ""
    """The command line, as it is kept with the run."""


@dataclass(frozen=True)
class Platform:
    """What was installed."""

    layers: tuple[Mapping[str, Any], ...]
    """Its values and what is laid over them."""
    version: str
    """Of its chart's program; empty where no cluster was asked."""

    @property
    def values(self) -> Values:
        """All values of it, checked. Raises ConfigError."""
        return complete(*self.layers)


def submit(asked: Asked, place: Place, *, fresh: bool, dry_run: bool) -> SubmissionDocument:
    """Create a run's RayJob unless there is one, a check fails, or it shall only be shown.

    Raises ConfigError for what cannot be planned or rendered, and what kubectl raises.
    """
    platform = installed(place)
    values = platform.values
    planned = plan(asked, values, place.line)
    if fresh:
        planned = _another(asked, values, place)
    if place.door and (job := _found(place.door, planned.command.name)) is not None:
        return _attached(_document(asked, planned, place, job), job)
    manifest = rendered(place.release, place.namespace, merged(*platform.layers, planned.values))
    document = _document(asked, planned, place, manifest)
    flight = _flight(document, planned, values, platform.version, place)
    rows = list(examined(flight, ONLINE if place.door else OFFLINE))
    document = document.model_copy(update=_judged(rows))
    if dry_run or place.door is None or document.exit_code:
        return document
    try:
        place.door.create(manifest)
    except AlreadyThereError:
        return document.model_copy(update={"state": "found"})
    return document.model_copy(update={"state": "created"})


def installed(place: Place) -> Platform:
    """Read the platform's values and lay the user's over them. Raises ConfigError."""
    files = tuple(_values(load_yaml(path), str(path)) for path in place.files)
    if place.door is None:
        return Platform(files, "")
    name = f"{full_name(place.release, merged(*files))}-platform"
    found = _platform(place.door, name, place.release)
    said = parse_yaml(text(found, "data", "values.yaml"), f"ConfigMap {name}")
    own = {key: value for key, value in _values(said, name).items() if key != "job"}
    return Platform((published(own), *files), text(found, "data", "appVersion"))


def _platform(door: Kubectl, name: str, release: str) -> Object:
    path = f"/api/v1/namespaces/{door.namespace}/configmaps"
    try:
        return door.get(f"{path}/{name}")
    except NotFoundError:
        pass
    try:
        there = items(door.get(f"{path}?labelSelector={_COMPONENT.replace('=', '%3D')}"), "items")
    except ForbiddenError:
        there = []
    names = sorted(text(each, "metadata", "labels", _RELEASE) for each in there)
    remedy = "install it with `make deploy`, or name another --namespace"
    if names:
        remedy = f"name one of {', '.join(names)} with --release"
    raise ConfigError(
        f"namespace {door.namespace} has no platform of release {release} (no ConfigMap {name}); "
        f"{remedy}"
    )


def _values(data: object, name: str) -> dict[str, Any]:
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{name}: values of the chart are a mapping; see its values.yaml")
    return data


def _another(asked: Asked, values: Values, place: Place) -> Plan:
    """Plan the same again under the first number that neither cluster nor store has."""
    first = plan(asked, values, place.line)
    kept = numbers(first.store, _s3(values), asked.kind, asked.title) if place.door else set()
    for number in range(2, _MOST_AGAIN + 1):
        planned = plan(asked, values, place.line, number)
        if place.door is None:
            return planned
        if number not in kept and _found(place.door, planned.command.name) is None:
            return planned
    raise ConfigError(f"{asked.title}: {_MOST_AGAIN} are there; end some with `submit stop`")


def _s3(values: Values) -> S3:
    """Say how the platform's pods reach the store."""
    return S3(endpoint=values.store.endpoint or None, region=values.store.region)


def _found(door: Kubectl, name: str) -> Object | None:
    try:
        return door.get(f"/apis/ray.io/v1/namespaces/{door.namespace}/rayjobs/{name}")
    except NotFoundError:
        return None


def _flight(
    document: SubmissionDocument, planned: Plan, values: Values, version: str, place: Place
) -> Flight:
    return Flight(
        manifest=document.manifest or {},
        pods=planned.pods,
        store=document.store,
        data=document.data,
        s3=_s3(values),
        operator_namespace=values.network_policy.operator_namespace,
        release=version,
        reader=place.door or Kubectl(place.namespace),
    )


def _document(asked: Asked, planned: Plan, place: Place, manifest: Object) -> SubmissionDocument:
    written = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return SubmissionDocument(
        name=planned.command.name,
        namespace=place.namespace,
        context=place.door.context if place.door else None,
        kind=asked.kind,
        command=planned.command.line,
        store=planned.store,
        data=planned.data,
        manifest=dict(manifest),
        manifest_sha256=hashlib.sha256(written.encode()).hexdigest(),
        checks=[],
        state="rendered",
        outcome=None,
        reason=None,
        exit_code=0,
    )


def _attached(document: SubmissionDocument, job: Object) -> SubmissionDocument:
    ended = outcome(job)
    return document.model_copy(
        update={
            "state": "found",
            "outcome": state(job),
            "reason": reason(job) if ended and ended.exit_code else None,
            "exit_code": ended.exit_code if ended else 0,
        }
    )


def _judged(rows: list[CheckRow]) -> dict[str, Any]:
    code = max(row.exit_code for row in rows)
    return {"checks": rows, "exit_code": code, "state": "refused" if code else "rendered"}
