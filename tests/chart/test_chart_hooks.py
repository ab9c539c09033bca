"""What `helm test` runs: the knock at the dashboard, at servers that ask for a token and others."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.chart.renders import CI, Case, Object, objects, rendered

TOKEN = "a-token-of-the-test-0123456789"
Answer = Callable[[str | None], int]


@contextmanager
def _dashboard(answer: Answer) -> Iterator[str]:
    """Serve statuses that depend on the token."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            header = self.headers.get("Authorization")
            known = self.path == "/api/version"
            self.send_response(answer(header) if known else 404)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def knock() -> Object:
    """Find the container that knocks."""
    pods = [one for one in objects(rendered(Case("cluster"))) if one["kind"] == "Pod"]
    found = [pod for pod in pods if pod["metadata"]["name"].endswith("-test-auth")]
    return dict(found[0]["spec"]["containers"][0])


def _run(knock: Object, answer: Answer) -> subprocess.CompletedProcess[str]:
    with _dashboard(answer) as address:
        environment = {**os.environ, "DASHBOARD": address, "RAY_AUTH_TOKEN": TOKEN}
        return subprocess.run(
            [sys.executable, *knock["command"][1:]],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )


def test_a_dashboard_that_asks_for_its_token_passes(knock: Object) -> None:
    assert knock["command"][0] == "python"
    ended = _run(knock, lambda header: 200 if header == f"Bearer {TOKEN}" else 401)
    assert ended.returncode == 0, ended.stderr
    assert TOKEN not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: 200,
        lambda header: 200 if header else 401,
        lambda _: 401,
        lambda header: 200 if header == f"Bearer {TOKEN}" else 500,
    ],
    ids=["open", "any token", "no token", "broken"],
)
def test_any_other_dashboard_fails(knock: Object, answer: Answer) -> None:
    ended = _run(knock, answer)
    assert ended.returncode == 1
    assert "expected 401, 401 or 403, and 200" in ended.stderr


@pytest.mark.parametrize("values", CI)
def test_every_shape_tries_its_store(values: str, renders: dict[Case, str]) -> None:
    hooks = [
        one
        for one in objects(renders[Case(values, "cluster")])
        if one["metadata"].get("annotations", {}).get("helm.sh/hook") == "test"
    ]
    commands = {hook["spec"]["containers"][0]["command"][0] for hook in hooks}
    assert commands == {"cifar-dist", "python"}
