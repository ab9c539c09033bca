"""A run brought to a cluster: planned on its platform, rendered, examined, created or found."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cifar_dist import __version__
from cifar_dist.config import S3
from cifar_dist.documents.doctor import CheckRow
from cifar_dist.documents.submission import SubmissionDocument
from cifar_dist.errors import ConfigError, RunError
from cifar_dist.submission.asked import Asked
from cifar_dist.submission.chart import full_name, merged, rendered
from cifar_dist.submission.door import NotFoundError
from cifar_dist.submission.installation import (
    RELEASE_LABEL,
    platform_of,
    platforms,
    read,
    values_of,
)
from cifar_dist.submission.kubectl import AlreadyThereError, Kubectl
from cifar_dist.submission.observed import Object, outcome, reason, state, text
from cifar_dist.submission.preflight import Flight, examined
from cifar_dist.submission.rayjob import Plan, plan
from cifar_dist.submission.surroundings import OFFLINE, ONLINE, numbers
from cifar_dist.submission.values import Values, complete

_MOST_AGAIN = 999
_GONE_SECONDS = 120.0
_POLL_SECONDS = 2.0


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
    full: str
    """What names of its objects begin with."""

    @cached_property
    def values(self) -> Values:
        """All values of it, checked. Raises ConfigError."""
        try:
            return complete(*self.layers)
        except ConfigError as error:
            if self.version in ("", __version__):
                raise
            raise ConfigError(
                f"{error}\nthe platform was installed by version {self.version}, and this program "
                f"is {__version__}; use the same version, or upgrade it with `make deploy`"
            ) from error

    @property
    def s3(self) -> S3:
        """How its pods reach the store."""
        store = self.values.store
        return S3(endpoint=store.address(self.full) or None, region=store.region)


def submit(
    asked: Asked, place: Place, tell: Callable[[str], None], *, fresh: bool, dry_run: bool
) -> SubmissionDocument:
    """Create a run's RayJob unless there is one, a check fails, or it shall only be shown.

    One that is being deleted is waited for. Raises ConfigError for what cannot be planned or
    rendered, RunError for one that stays, and what kubectl raises.
    """
    platform = installed(place)
    planned = plan(asked, platform.values, place.line)
    if fresh:
        planned = _another(asked, platform, place)
    manifest = rendered(place.release, place.namespace, merged(*platform.layers, planned.values))
    document = _document(asked, planned, place, manifest)
    if place.door and not dry_run:
        job = _present(place.door, planned.command.name, tell)
        if job is not None:
            return _attached(document, job)
    flight = _flight(document, planned, platform, place)
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
    files = tuple(map(read, place.files))
    if place.door is None:
        return Platform(files, "", full_name(place.release, merged(*files)))
    found = platform_of(place.door, place.release, merged(*files))
    if found is None:
        raise _not_installed(place.door, place.release)
    layers = (values_of(found), *files)
    version = text(found, "data", "appVersion")
    return Platform(layers, version, full_name(place.release, merged(*layers)))


def _not_installed(door: Kubectl, release: str) -> ConfigError:
    names = sorted(text(each, "metadata", "labels", RELEASE_LABEL) for each in platforms(door))
    remedy = "install it with `make deploy`, or name another --namespace"
    if names:
        remedy = f"name one of {', '.join(names)} with --release"
    return ConfigError(
        f"namespace {door.namespace} has no platform of release {release} (no ConfigMap "
        f"{full_name(release, {})}-platform); {remedy}"
    )


def _another(asked: Asked, platform: Platform, place: Place) -> Plan:
    """Plan the same again under the first number that neither cluster nor store has."""
    values = platform.values
    first = plan(asked, values, place.line)
    kept = numbers(first.store, platform.s3, asked.kind, asked.title) if place.door else set()
    for number in range(2, _MOST_AGAIN + 1):
        planned = plan(asked, values, place.line, number)
        if place.door is None:
            return planned
        if number not in kept and _found(place.door, planned.command.name) is None:
            return planned
    raise ConfigError(f"{asked.title}: {_MOST_AGAIN} are there; end some with `submit stop`")


def _found(door: Kubectl, name: str) -> Object | None:
    try:
        return door.get(f"/apis/ray.io/v1/namespaces/{door.namespace}/rayjobs/{name}")
    except NotFoundError:
        return None


def _present(door: Kubectl, name: str, tell: Callable[[str], None]) -> Object | None:
    """Find a RayJob that stays; one that is being deleted is waited for."""
    until = time.monotonic() + _GONE_SECONDS
    has_told = False
    while (job := _found(door, name)) and text(job, "metadata", "deletionTimestamp"):
        if time.monotonic() > until:
            raise RunError(
                f"{name} is still being deleted after {_GONE_SECONDS:.0f} s; try again later"
            )
        if not has_told:
            tell(f"{name} is being deleted; it is submitted again when it is gone")
        has_told = True
        time.sleep(_POLL_SECONDS)
    return job


def _flight(
    document: SubmissionDocument, planned: Plan, platform: Platform, place: Place
) -> Flight:
    return Flight(
        manifest=document.manifest or {},
        pods=planned.pods,
        store=document.store,
        s3=platform.s3,
        operator_namespace=platform.values.network_policy.operator_namespace,
        release=platform.version,
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
