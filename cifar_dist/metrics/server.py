"""The metrics over HTTP: small answers, few threads, and no request that could harm training."""

import gzip
import logging
import os
import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from threading import BoundedSemaphore, Thread
from types import TracebackType
from typing import NamedTuple, Self

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from cifar_dist.errors import ConfigError

HOST_VARIABLE = "CIFAR_DIST_METRICS_HOST"
_DEFAULT_HOST = "127.0.0.1"

log = logging.getLogger(__name__)

_openmetrics: Callable[[CollectorRegistry], bytes] = openmetrics.generate_latest

_LAST_PORT = 65_535
_THREADS = 8  # answers under way; who comes then is asked to come back
_SECONDS = 5.0  # for a whole request and its answer
_HEAD_BYTES = 8192
_DRAIN_BYTES = 1 << 20
_REQUEST = re.compile(r"(?P<method>[A-Za-z]+) (?P<path>[^ ?]+)(?:\?[^ ]*)? HTTP/1\.\d")
_NEVER = re.compile(r"q=0(\.0*)?")
_TEXT = "text/plain; charset=utf-8"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class _Answer(NamedTuple):
    status: int
    body: bytes = b""
    kind: str = _TEXT
    headers: tuple[str, ...] = ()


class _Refused(Exception):  # noqa: N818 - not an error of this program
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Server:
    """Serves a registry from now to its `close`; `/metrics` and `/healthz`.

    Raises ConfigError if the port cannot be had. Port 0 takes a free one.
    """

    def __init__(self, registry: CollectorRegistry, port: int, host: str | None = None) -> None:
        self._registry = registry
        self._socket = _bound(host or os.environ.get(HOST_VARIABLE) or _DEFAULT_HOST, port)
        self._free, self._is_closed = BoundedSemaphore(_THREADS), False
        self._thread = Thread(target=self._accept, name="metrics", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    @property
    def url(self) -> str:
        """Where the metrics are."""
        host, port = self.address
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"

    def close(self) -> None:
        """Take no more requests; those under way end by themselves in seconds."""
        self._is_closed = True
        with suppress(OSError):  # wakes the thread that accepts, on every system
            socket.create_connection(self.address, timeout=1.0).close()
        self._thread.join(_SECONDS)
        self._socket.close()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                time.sleep(0.05)  # too many open files, perhaps: it will pass
                continue
            if self._is_closed:
                connection.close()
            elif self._free.acquire(blocking=False):
                try:
                    Thread(target=self._serve, args=(connection,), daemon=True).start()
                except RuntimeError:  # the machine has no thread left
                    self._free.release()
                    connection.close()
            else:
                self._turn_away(connection)

    def _turn_away(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(0.1)
            connection.sendall(_encoded(_Answer(503, headers=("Retry-After: 1",)), is_head=False))

    def _serve(self, connection: socket.socket) -> None:
        deadline = time.monotonic() + _SECONDS
        try:
            with suppress(OSError), connection:
                answer, is_head = self._answer(connection, deadline)
                connection.settimeout(max(0.1, deadline - time.monotonic()))
                connection.sendall(_encoded(answer, is_head=is_head))
                _drain(connection, deadline)
        finally:
            self._free.release()

    def _answer(self, connection: socket.socket, deadline: float) -> tuple[_Answer, bool]:
        try:
            lines = _head(connection, deadline).decode("latin-1").split("\r\n")
            method, path = _request(lines[0])
            headers = _headers(lines[1:])
        except _Refused as refused:
            return _Answer(refused.status, f"{_REASONS[refused.status]}\n".encode()), False
        if method not in ("GET", "HEAD"):
            return _Answer(405, b"only GET and HEAD\n", headers=("Allow: GET, HEAD",)), False
        return self._page(path, headers), method == "HEAD"

    def _page(self, path: str, headers: dict[str, str]) -> _Answer:
        if path == "/healthz":
            return _Answer(200, b"ok\n")
        if path != "/metrics":
            return _Answer(404, b"there are /metrics and /healthz\n")
        try:
            return self._metrics(headers)
        except Exception:
            log.exception("the metrics cannot be read")
            return _Answer(500, b"the metrics cannot be read; see the driver's log\n")

    def _metrics(self, headers: dict[str, str]) -> _Answer:
        more: tuple[str, ...] = ("Vary: Accept, Accept-Encoding",)
        if "application/openmetrics-text" in headers.get("accept", ""):
            body, kind = _openmetrics(self._registry), openmetrics.CONTENT_TYPE_LATEST
        else:
            body, kind = generate_latest(self._registry), CONTENT_TYPE_LATEST
        if _takes_gzip(headers.get("accept-encoding", "")):
            body, more = gzip.compress(body, 1), (*more, "Content-Encoding: gzip")
        return _Answer(200, body, kind, more)


def _bound(host: str, port: int) -> socket.socket:
    if not 0 <= port <= _LAST_PORT:
        raise ConfigError(f"--metrics-port={port}: must be from 0 to 65535; 0 takes a free one")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=64)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it is no host's name"
        raise ConfigError(
            f"metrics cannot be served on {host}:{port} ({why}); choose another --metrics-port, "
            f"or 0 for a free one, and see {HOST_VARIABLE}"
        ) from error


def _head(connection: socket.socket, deadline: float) -> bytes:
    """Read a request up to its empty line."""
    received = b""
    while b"\r\n\r\n" not in received:
        if (left := deadline - time.monotonic()) <= 0:
            raise _Refused(408)
        connection.settimeout(left)
        try:
            more = connection.recv(4096)
        except TimeoutError:
            raise _Refused(408) from None
        received += more
        if len(received) > _HEAD_BYTES:
            raise _Refused(431)
        if not more:
            raise _Refused(400)
    return received.partition(b"\r\n\r\n")[0]


def _request(line: str) -> tuple[str, str]:
    found = _REQUEST.fullmatch(line)
    if found is None:
        raise _Refused(400)
    return found["method"], found["path"]


def _headers(lines: list[str]) -> dict[str, str]:
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise _Refused(400)
        headers[name.strip().lower()] = value.strip().lower()
    return headers


def _takes_gzip(accepted: str) -> bool:
    codings = [coding.replace(" ", "").partition(";") for coding in accepted.split(",")]
    return any(name == "gzip" and not _NEVER.fullmatch(how) for name, _, how in codings)


def _encoded(answer: _Answer, *, is_head: bool) -> bytes:
    lines = (
        f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}",
        f"Content-Type: {answer.kind}",
        f"Content-Length: {len(answer.body)}",
        "Cache-Control: no-store",
        "Connection: close",
        *answer.headers,
    )
    head = "\r\n".join((*lines, "", "")).encode("ascii")
    return head if is_head else head + answer.body


def _drain(connection: socket.socket, deadline: float) -> None:
    """Take what a client still sends: an answer may be lost where that is left unread."""
    connection.shutdown(socket.SHUT_WR)
    taken = 0
    while taken < _DRAIN_BYTES and (left := deadline - time.monotonic()) > 0:
        connection.settimeout(min(left, 1.0))
        if not (more := connection.recv(65_536)):
            return
        taken += len(more)
