"""The checks of a preflight that look beyond the namespace: nodes, and the store."""

import os
import re
from itertools import islice
from urllib.parse import urlsplit

from cifar_dist.config import S3
from cifar_dist.errors import CifarDistError, DeviceError
from cifar_dist.store import Store, open_store
from cifar_dist.submission import preflight
from cifar_dist.submission.door import ForbiddenError, NotFoundError
from cifar_dist.submission.fitting import asked_by, plain, room
from cifar_dist.submission.observed import Object, items, text
from cifar_dist.submission.preflight import Check, Finding, Flight

_PAGE = 500  # nodes of one answer
_SCALER = "/api/v1/namespaces/kube-system/configmaps/cluster-autoscaler-status"
_SCALERS = ("karpenter.sh",)
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE")
_INSIDE = (".svc", ".svc.cluster.local")


def nodes(flight: Flight) -> Finding:
    """Compare what the pods ask for with what the nodes can give, as if these were empty."""
    there = _nodes(flight)
    worst = Finding("ok", f"{len(there)} nodes can hold it")
    for name, pod in flight.groups.items():
        asked = asked_by(pod, flight.autoscaler if name == "head" else None)
        least, most = (1, 1) if name == "head" else flight.pods
        held = room(pod, asked, there)
        size = ", ".join(f"{plain(amount)} {key}" for key, amount in asked.items() if key != "pods")
        what = "the head" if name == "head" else f"group {name}"
        if held < max(least, 1):
            said = f"{what} needs {max(least, 1)} pods of {size}, and there is room for {held}"
            return _short(flight, said)
        if held < most:
            worst = Finding(
                "warning",
                f"{what} may grow to {most} pods of {size}, and there is room for {held}",
                "add nodes, or lower maxReplicas",
            )
    return worst


def _short(flight: Flight, said: str) -> Finding:
    remedy = "add nodes, ask for less, or correct nodeSelector and tolerations of the group"
    if _grows(flight):
        return Finding("warning", f"{said} now; the cluster adds nodes by itself", remedy)
    return Finding("failed", said, remedy, DeviceError)


def _nodes(flight: Flight) -> list[Object]:
    found: list[Object] = []
    more = ""
    while True:
        page = flight.get(f"/api/v1/nodes?limit={_PAGE}{more}")
        found += items(page, "items")
        following = text(page, "metadata", "continue")
        if not following:
            return found
        more = f"&continue={following}"


def _grows(flight: Flight) -> bool:
    """Tell whether somebody adds nodes where pods wait for them."""
    try:
        groups = items(flight.get("/apis"), "groups")
        if any(text(group, "name") in _SCALERS for group in groups):
            return True
        flight.get(_SCALER)
    except (ForbiddenError, NotFoundError):
        return False
    return True


def store(flight: Flight) -> Finding:
    """Ask the store once; the pods have other keys and another network, so it refuses nothing."""
    if reason := _unreachable(flight.s3):
        return Finding("skipped", f"{flight.store}: {reason}")
    try:
        list(islice(_opened(flight.store, flight.s3).entries("doctor"), 1))
    except CifarDistError as error:
        return Finding("warning", f"it cannot be asked from here: {error}")
    return Finding("ok", f"{flight.store} answers")


def numbers(uri: str, s3: S3, kind: str, title: str) -> set[int]:
    """Give the numbers of runs that were submitted again and are kept, as far as can be seen."""
    if _unreachable(s3):
        return set()
    named = re.compile(rf"{re.escape(title)}-([1-9][0-9]*)-[0-9a-f]{{8}}")
    try:
        folders = list(_opened(uri, s3).folders("sweeps" if kind == "tune" else "runs"))
    except CifarDistError:
        return set()
    return {int(found[1]) for name in folders if (found := named.fullmatch(name))}


def _opened(uri: str, s3: S3) -> Store:
    return open_store(uri, s3.model_copy(update={"deadline_seconds": 5.0}))


def _unreachable(s3: S3) -> str | None:
    """Say why nobody here need ask the store."""
    host = urlsplit(s3.endpoint or "").hostname
    if host and ("." not in host or host.endswith(_INSIDE)):
        return "its server is inside the cluster"
    if not any(os.environ.get(name) for name in _KEYS):
        return "no credentials for it here"
    return None


OFFLINE: dict[str, Check] = {"rules": preflight.operators_rules, "image": preflight.image}
"""Checks that ask nobody."""
ONLINE: dict[str, Check] = {
    "namespace": preflight.namespace,
    "operator": preflight.operator,
    "platform": preflight.platform,
    "accounts": preflight.accounts,
    "secrets": preflight.secrets,
    **OFFLINE,
    "quota": preflight.quota,
    "nodes": nodes,
    "store": store,
}
"""All of them."""
