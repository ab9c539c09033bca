"""An HTTP proxy before a real S3 server that breaks a chosen share of what passes through it."""

import http.client
import random
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.faults import REFUSALS, Answer, Fault, bent, mismatch, refusal

__all__ = ["Fault", "FaultProxy"]

_HOP_BY_HOP = {"connection", "expect", "keep-alive", "transfer-encoding"}
_BODILESS = {204, 304}
_POLL_SECONDS = 0.02


class FaultProxy:
    """Serves on 127.0.0.1 while its context is open; `counts` tells what was done how often.

    Besides each kind, `counts` has 'requests' and 'rejected', the bent requests that were refused.
    With `strict` it checks the digests of what arrives, as S3 does and simulated servers do not.
    """

    def __init__(
        self, upstream: str, faults: Iterable[Fault] = (), seed: int = 0, *, strict: bool = False
    ) -> None:
        self.upstream = upstream
        self.faults = list(faults)
        self.down = False
        self.stalled = False
        self.strict = strict
        self.counts: Counter[str] = Counter()
        self.running = True
        self._hits: Counter[Fault] = Counter()
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,))
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self.close()

    def close(self) -> None:
        """End all connections and leave the port."""
        self.running = False
        self._server.hang_up()
        self._server.server_close()

    def count(self, what: str) -> None:
        """Note that something happened."""
        with self._lock:
            self.counts[what] += 1

    def drawn(self, method: str, target: str, body: bytes) -> list[Fault]:
        """Draw what happens to a request: latencies and at most one other fault."""
        with self._lock:
            suiting = [fault for fault in self.faults if fault.suits(method, target, body)]
            hits = [fault for fault in suiting if self._random.random() < fault.share]
            left = [
                fault for fault in hits if fault.times is None or self._hits[fault] < fault.times
            ]
            late = [fault for fault in left if fault.kind == "latency"]
            chosen = late + [fault for fault in left if fault.kind != "latency"][:1]
            self._hits.update(chosen)
        return chosen

    def bent(self, data: bytes) -> bytes:
        """Give a copy with one bit flipped."""
        with self._lock:
            return bent(data, self._random)


class _Server(ThreadingHTTPServer):
    proxy: FaultProxy
    daemon_threads = False  # closing waits for them, so that no socket is left open
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(address, handler)

    def hang_up(self) -> None:
        """End all connections, which ends their threads."""
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it ended by itself

    def process_request(self, request: socket.socket, client_address: object) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:
        self._connections.discard(request)
        self.close_request(request)  # without a farewell, or a reset would look like an end

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that are killed in the midst of a request are what this is for."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def setup(self) -> None:
        super().setup()
        self._proxy = self.server.proxy
        self._link = http.client.HTTPConnection(urlsplit(self._proxy.upstream).netloc)

    def finish(self) -> None:
        self._link.close()
        super().finish()

    def handle(self) -> None:
        if self._proxy.down:
            self._count_and_reset("down")
        else:
            super().handle()

    def handle_expect_100(self) -> bool:
        if self._proxy.down or self._proxy.stalled:
            return True  # no word; the client sends its body after a second
        return super().handle_expect_100()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._proxy.count("requests")
        if self._proxy.down:
            self._count_and_reset("down")
            return
        if self._proxy.stalled:
            self._proxy.count("stalled")
            self._keep_silent(lambda: self._proxy.stalled)
            return
        chosen = None
        for fault in self._proxy.drawn(self.command, self.path, body):
            if fault.kind == "latency":
                self._proxy.count("latency")
                time.sleep(fault.seconds)
            else:
                chosen = fault
        self._break(chosen, body)

    def _break(self, fault: Fault | None, body: bytes) -> None:
        kind = fault.kind if fault else ""
        if kind == "reset_before":
            self._count_and_reset(kind)
            return
        if kind in REFUSALS:
            self._proxy.count(kind)
            self._send(refusal(*REFUSALS[kind]))
            return
        if kind == "flip_up":
            self._proxy.count(kind)
            body = self._proxy.bent(body)
        try:
            answer = self._refused(body) or self._forwarded(body)
        except (OSError, http.client.HTTPException):
            self._count_and_reset("unreachable")
            return
        if kind == "flip_up" and answer.status >= 400:
            self._proxy.count("rejected")
        self._deliver(fault, answer)

    def _deliver(self, fault: Fault | None, answer: Answer) -> None:
        kind = fault.kind if fault else ""
        if kind == "answer_lost":
            self._count_and_reset(kind)
            return
        half = len(answer.body) // 2
        if not answer.body or kind not in {"truncated", "short", "flip_down", "stall"}:
            self._send(answer)
            return
        self._proxy.count(kind)
        if kind == "flip_down":
            self._send(answer._replace(body=self._proxy.bent(answer.body)))
        elif kind == "short":
            self._send(answer._replace(body=answer.body[:half]))
        else:
            self._send(answer, half)
            self.close_connection = True
            if kind == "stall":
                self._keep_silent(lambda: fault in self._proxy.faults)

    def _refused(self, body: bytes) -> Answer | None:
        if not self._proxy.strict:
            return None
        code = mismatch(self.command, self.path, self.headers, body)
        return refusal(400, code) if code else None

    def _forwarded(self, body: bytes) -> Answer:
        try:
            self._link.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    self._link.putheader(name, value)  # Host as well: it is part of what is signed
            self._link.endheaders(body or None)
            reply = self._link.getresponse()
            data = reply.read()
        except (OSError, http.client.HTTPException):
            self._link.close()
            raise
        return Answer(reply.status, reply.getheaders(), data)

    def _send(self, answer: Answer, first_bytes: int | None = None) -> None:
        self.send_response_only(answer.status)
        sized = self.command != "HEAD" and answer.status not in _BODILESS
        for name, value in answer.headers:
            if name.lower() not in _HOP_BY_HOP and not (sized and name.lower() == "content-length"):
                self.send_header(name, value)
        if sized:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[:first_bytes])

    def _keep_silent(self, condition: Callable[[], bool]) -> None:
        while self._proxy.running and condition() and not self._hung_up():
            time.sleep(_POLL_SECONDS)
        self._reset()

    def _hung_up(self) -> bool:
        if not select.select([self.connection], [], [], 0)[0]:
            return False
        try:
            return not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _count_and_reset(self, what: str) -> None:
        self._proxy.count(what)
        self._reset()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
