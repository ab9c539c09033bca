"""Requests to a Ray dashboard: bounded, never redirected, no token to an open or wrong server."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cifar_dist import consent
from cifar_dist.config.endpoints import endpoint_fault
from cifar_dist.errors import ConfigError, RunError
from cifar_dist.problems import shown
from cifar_dist.submission.door import ForbiddenError, NotFoundError, UnreachableError
from cifar_dist.submission.observed import line

_SECONDS = 20.0  # that a server may say nothing
_IN_ALL = 60.0  # seconds that one answer may take
_MOST = 16 * 2**20  # bytes of an answer
_PIECE = 2**16
_OK, _BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 400, 401, 403, 404
_REDIRECTED = range(300, 400)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow nothing: the token would go along."""


# Proxies of the environment are passed by, as Ray itself does.
_OPENER = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Answer:
    """A status and a text."""

    address: str
    status: int
    text: str

    def accepted(self, missing: str) -> Any:
        """Give the JSON value of an answer that is one; raises what any other one means."""
        if self.status == _OK:
            return self._value()
        if self.status == _UNAUTHORIZED:
            raise ForbiddenError(
                f"{self.address} asks for a token; export RAY_AUTH_TOKEN, which is key auth_token "
                "of the cluster's Secret"
            )
        if self.status == _FORBIDDEN:
            raise ForbiddenError(f"{self.address} refuses this RAY_AUTH_TOKEN; take its own")
        if self.status == _NOT_FOUND:
            raise NotFoundError(missing)
        if self.status in _REDIRECTED:
            raise RunError(
                f"{self.address} sends elsewhere, and no redirect is followed with a token; name "
                "the dashboard's own address"
            )
        lines = self.text.strip().splitlines() or ["nothing"]
        said = line(lines[-1])
        if self.status == _BAD_REQUEST:
            raise ConfigError(f"{self.address} refuses the job: {said}")
        raise RunError(f"{self.address} fails with HTTP {self.status}: {said}")

    def _value(self) -> Any:
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError) as error:
            raise RunError(f"{self.address} does not answer as Ray's jobs API does") from error


@dataclass(frozen=True)
class Client:
    """The way to one dashboard."""

    address: str
    token: str | None

    @classmethod
    def to(cls, address: str, token: str | None) -> "Client":
        """Check an address, and that its cluster asks for a token; an open one needs consent.

        Raises ConfigError, RefusedError, RunError or UnreachableError.
        """
        _check(address)
        base = address.rstrip("/")
        return cls(base, None if _is_open(base) else token)

    def get(self, path: str) -> Answer:
        """Ask for a path."""
        return self._ask(path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Send a JSON object to a path."""
        return self._ask(path, json.dumps(body).encode())

    def delete(self, path: str) -> Answer:
        """Ask for a path to be removed."""
        return self._ask(path, None, "DELETE")

    def _ask(self, path: str, body: bytes | None, method: str | None = None) -> Answer:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            request = urllib.request.Request(
                self.address + path, data=body, headers=headers, method=method
            )
            with _OPENER.open(request, timeout=_SECONDS) as reply:
                return Answer(self.address, reply.status, self._read(reply))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(self.address, error.code, self._read(error))
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "reason", None) or error
            raise UnreachableError(
                f"{self.address} does not answer ({line(str(why))}); check the address, or reach "
                "it by `kubectl port-forward`"
            ) from error
        except ValueError as error:  # a token with a line break, which its text must not show
            raise ConfigError("RAY_AUTH_TOKEN holds characters that no token has") from error

    def _read(self, reply: Any) -> str:
        until = time.monotonic() + _IN_ALL
        found = bytearray()
        while piece := reply.read1(_PIECE):
            found += piece
            if len(found) > _MOST or time.monotonic() > until:
                raise RunError(
                    f"{self.address} answers with more than {_MOST // 2**20} MiB or too slowly; "
                    "read it in the dashboard"
                )
        return found.decode("utf-8", "replace")


def _check(address: str) -> None:
    if endpoint_fault(address) is None:
        return
    if endpoint_fault(address, may_be_plain=True) is not None:
        raise ConfigError(
            f"--ray {shown(address)}: give the dashboard's address, such as http://localhost:8265 "
            "or https://ray.example.org, without a token in it"
        )
    consent.require(
        f"{shown(address)} is http outside a cluster, so the token can be read on its way",
        "use https, or `kubectl port-forward` and http://localhost:8265",
    )


def _is_open(address: str) -> bool:
    """Ask without a token; raises RefusedError for a cluster that answers, unless consented."""
    answer = Client(address, None).get("/api/version")
    if answer.status == _OK:
        answer.accepted("")
        consent.require(
            f"the cluster at {address} asks nobody for a token, so all who reach its ports run "
            "any code there",
            "start its head and its nodes with RAY_AUTH_MODE=token and one RAY_AUTH_TOKEN",
        )
        return True
    if answer.status != _UNAUTHORIZED:
        answer.accepted(f"{address} is no Ray dashboard; name host and port 8265 of the head")
    return False
