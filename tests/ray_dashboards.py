"""A stand-in for a Ray dashboard, which keeps jobs and records what it is asked."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "secret-token-of-the-cluster"


class Dashboard(ThreadingHTTPServer):
    """A stand-in for Ray's dashboard that records what it is asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        self.is_open = False
        self.answer: tuple[int, bytes] | None = None
        """What every request with a token gets, if given."""
        self.log_answer = (200, json.dumps({"logs": "one\ntwo\n\x1b[2J\n"}).encode())

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Answers as Ray 2.60 does."""

    server: Dashboard

    def do_GET(self) -> None:
        """Answer a reading."""
        self._answer(b"")

    def do_POST(self) -> None:
        """Answer a change."""
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def do_DELETE(self) -> None:
        """Answer a removal."""
        self._answer(b"")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self, body: bytes) -> None:
        token = self.headers["Authorization"]
        self.server.requests.append((self.command, self.path, token))
        status, value = self._routed(body, token)
        self.send_response(status)
        if status in (301, 302, 307):
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.send_header("Content-Length", str(len(value)))
        self.end_headers()
        self.wfile.write(value)

    def _routed(self, body: bytes, token: str | None) -> tuple[int, bytes]:
        if not self.server.is_open and token is None:
            return 401, b"Unauthorized: Missing authentication token"
        if not self.server.is_open and token != f"Bearer {TOKEN}":
            return 403, b"Forbidden: Invalid authentication token"
        if self.server.answer is not None:
            return self.server.answer
        return self._of_jobs(body)

    def _of_jobs(self, body: bytes) -> tuple[int, bytes]:
        name, _, what = self.path.removeprefix("/api/jobs/").partition("/")
        if self.path == "/api/version":
            return 200, b'{"ray_version": "2.60.0"}'
        if self.path == "/api/jobs/" and self.command == "POST":
            return self._submitted(json.loads(body))
        if self.path == "/api/jobs/":
            return 200, json.dumps(list(self.server.jobs.values())).encode()
        if name not in self.server.jobs:
            return 404, f"Job {name} does not exist".encode()
        found: dict[str, Any] = self.server.jobs[name]
        if self.command == "DELETE":
            del self.server.jobs[name]
        if what == "logs":
            return self.server.log_answer
        if what == "stop":
            found["status"] = "STOPPED"
            found = {"stopped": True}
        return 200, json.dumps(found).encode()

    def _submitted(self, asked: dict[str, Any]) -> tuple[int, bytes]:
        started = {"status": "RUNNING", "start_time": 1_700_000_000_000, "message": "running"}
        self.server.jobs[asked["submission_id"]] = {**asked, **started}
        return 200, json.dumps({"submission_id": asked["submission_id"]}).encode()


@contextmanager
def served() -> Iterator[Dashboard]:
    """Serve one on a free port."""
    with Dashboard() as found:
        thread = Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        yield found
        found.shutdown()
        thread.join()
