"""Whether the named Ray cluster answers, asks for a token and is of our version."""

import http.client
import json
import os
from contextlib import closing
from http import HTTPStatus
from importlib import metadata
from pathlib import Path
from socket import create_connection
from urllib.parse import urlsplit

from cifar_dist import consent
from cifar_dist.doctor.check import Checks, Finding, Setup, failed, ok, skipped, warning
from cifar_dist.errors import ConfigError, RefusedError, RunError
from cifar_dist.hazards import hazards
from cifar_dist.problems import shown

_ADDRESS = "RAY_ADDRESS"
_DASHBOARD = "RAY_DASHBOARD_ADDRESS"
_DASHBOARD_PORT = 8265
_PATIENCE_SECONDS = 3.0
_ANSWER_BYTES = 1 << 16
_VERSION = "/api/version"
_CLOSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

CHECKS = Checks(RunError)


@CHECKS.add(needs="environment")
def ray_address(_: Setup) -> Finding:
    """Knock at the cluster's head."""
    if _is_local():
        return ok("RAY_ADDRESS names no cluster; a local Ray is started for workers")
    address = os.environ[_ADDRESS]
    if not _has_port(address) and "://" not in address:
        return warning(
            f"RAY_ADDRESS={shown(address)} lets Ray look for a cluster on this machine",
            "name the cluster's head itself, host:6379",
        )
    host, port = address.rpartition(":")[::2]
    if "://" in address or not host:
        return failed(
            f"RAY_ADDRESS={shown(address)} is not host:port",
            "name the cluster's head itself, host:6379",
            ConfigError,
        )
    try:
        create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_SECONDS).close()
    except (OSError, OverflowError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        return failed(
            f"nobody answers at RAY_ADDRESS={shown(address)} ({reason})",
            "correct it, or unset it to run on this machine",
            RunError,
        )
    return ok(f"{shown(address)} answers")


@CHECKS.add(needs="ray_address", seconds=60)
def ray_token(_: Setup) -> Finding:
    """Ask the cluster's dashboard, or else its head, without a token, which must be refused."""
    if _is_local():
        if opened := [hazard for hazard in hazards() if hazard.is_of_ray]:
            return _open(f"a local Ray has no token: {opened[0].danger}", opened[0].remedy)
        return ok("a local Ray starts with a token of its own")
    if not _has_port(os.environ[_ADDRESS]):
        return skipped("only a head that is named can be asked")
    place = _dashboard()
    if not _is_open(place):
        # Whatever else answered in its place: the head itself tells, by Ray's own protocol.
        from cifar_dist.cluster import door

        place = os.environ[_ADDRESS]
        if not door.is_open(place):
            if door.speaks(place) or os.environ.get("RAY_USE_TLS") == "1":
                return ok(f"{place} asks for a token")
            return failed(
                f"{place} does not answer as Ray",
                "name the port of the cluster's head, 6379 by default",
                RunError,
            )
    return _open(
        f"{place} answers without a token: whoever reaches it can run code there",
        "start the cluster with RAY_AUTH_MODE=token and a token in RAY_AUTH_TOKEN",
    )


@CHECKS.add(needs="ray_token")
def ray_version(_: Setup) -> Finding:
    """Compare the cluster's Ray with the one here, and show it our token."""
    here, token = metadata.version("ray"), _token()
    if _is_local():
        return ok(f"{here}, the one installed here")
    if not _has_port(os.environ[_ADDRESS]):
        return skipped("only a head that is named can be asked")
    place = _dashboard()
    try:
        status, body = _asked(place, token)
        there = str(json.loads(body)["ray_version"]) if status == HTTPStatus.OK else ""
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        return skipped(f"the dashboard does not tell it ({type(error).__name__})")
    if status in _CLOSED:
        which = "does not know the token given here" if token else "asks for a token"
        return failed(f"{place} {which}", "set RAY_AUTH_TOKEN to the cluster's own", RunError)
    if there != here:
        return failed(
            f"the cluster runs Ray {shown(there)}, this machine {here}",
            "install the same version on both",
            RunError,
        )
    return ok(f"{here} on both sides")


def _open(found: str, remedy: str) -> Finding:
    return warning(found, remedy) if consent.given() else failed(found, remedy, RefusedError)


def _is_open(place: str) -> bool:
    try:
        return _asked(place, None)[0] == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def _is_local() -> bool:
    return os.environ.get(_ADDRESS, "") in ("", "local")


def _has_port(address: str) -> bool:
    return address.rpartition(":")[2].isdigit()


def _dashboard() -> str:
    named = os.environ.get(_DASHBOARD, "")
    if named and "@" not in named:
        return named if "://" in named else f"http://{named}"
    host = os.environ[_ADDRESS].rpartition(":")[0]
    return f"http://{host}:{_DASHBOARD_PORT}"


def _asked(place: str, token: str | None) -> tuple[int, bytes]:
    """Give status and body: without proxies, which must not see a token, and without redirects."""
    parts = urlsplit(place)
    is_secret = parts.scheme == "https"
    kind = http.client.HTTPSConnection if is_secret else http.client.HTTPConnection
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with closing(kind(parts.netloc, timeout=_PATIENCE_SECONDS)) as link:
        link.request("GET", _VERSION, headers=headers)
        answer = link.getresponse()
        return answer.status, answer.read(_ANSWER_BYTES)


def _token() -> str | None:
    """Find the token where Ray does."""
    if given := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return given
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    try:
        path = Path(named) if named else Path.home() / ".ray" / "auth_token"
        return path.read_text("utf-8").strip() or None
    except (OSError, RuntimeError, ValueError):
        return None
