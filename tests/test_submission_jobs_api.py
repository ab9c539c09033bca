"""The jobs API of a Ray cluster: tokens, open clusters, odd answers, names."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from cifar_dist import consent
from cifar_dist.errors import CifarDistError, ConfigError, RefusedError, RunError
from cifar_dist.submission.door import ForbiddenError, NotFoundError, UnreachableError
from cifar_dist.submission.jobs_api import JobsApi, submit_by_api
from cifar_dist.submission.logs import read_again
from tests.submitted_jobs import no_sleep

TOKEN = "secret-token-of-the-cluster"
NAME = "quickstart-1a2b3c4d"
ENTRY = "cifar-dist tune quickstart --resume"


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
        if what == "logs":
            found = {"logs": "one\ntwo\n\x1b[2J\n"}
        if what == "stop":
            found["status"] = "STOPPED"
            found = {"stopped": True}
        return 200, json.dumps(found).encode()

    def _submitted(self, asked: dict[str, Any]) -> tuple[int, bytes]:
        started = {"status": "RUNNING", "start_time": 1_700_000_000_000, "message": "running"}
        self.server.jobs[asked["submission_id"]] = {**asked, **started}
        return 200, json.dumps({"submission_id": asked["submission_id"]}).encode()


@pytest.fixture
def dashboard() -> Iterator[Dashboard]:
    """Serve one on a free port."""
    with Dashboard() as found:
        thread = Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def test_a_job_is_submitted_once_and_found_again(dashboard: Dashboard) -> None:
    env = {"CIFAR_DIST_SPACE": "trials: 2"}
    assert submit_by_api(dashboard.address, TOKEN, ENTRY, env, NAME)
    assert not submit_by_api(dashboard.address, TOKEN, ENTRY, env, NAME)
    assert dashboard.jobs[NAME]["entrypoint"] == ENTRY
    assert dashboard.jobs[NAME]["runtime_env"] == {"env_vars": env}
    found = JobsApi(dashboard.address, TOKEN).status(NAME)
    assert (found.name, found.kind, found.state) == (NAME, "tune", "running")
    assert (found.age_seconds or 0) > 1e7


def test_the_token_is_asked_for_before_it_is_sent(dashboard: Dashboard) -> None:
    submit_by_api(dashboard.address, TOKEN, ENTRY, {}, NAME)
    assert dashboard.requests[0] == ("GET", "/api/version", None)
    assert {token for _, _, token in dashboard.requests[1:]} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("status", "message", "state", "code"),
    [
        ("PENDING", "", "starting", None),
        ("RUNNING", "", "running", None),
        ("SUCCEEDED", "", "succeeded", 0),
        ("STOPPED", "", "stopped", 130),
        ("FAILED", "failed with exit code 5", "failed", 5),
        ("FAILED", "failed with exit code 75", "preempted", 75),
        ("FAILED", "", "failed", 3),
        ("NEW", "", "waiting", None),
    ],
)
def test_each_status_of_ray_is_understood(
    status: str, message: str, state: str, code: int | None, dashboard: Dashboard
) -> None:
    job = {"submission_id": NAME, "status": status, "message": message, "metadata": {}}
    dashboard.jobs[NAME] = job
    found = JobsApi(dashboard.address, TOKEN).status(NAME)
    assert (found.state, found.exit_code) == (state, code)


def test_the_drivers_own_exit_code_wins_over_words(dashboard: Dashboard) -> None:
    job = {"submission_id": NAME, "status": "FAILED", "message": "x", "driver_exit_code": 4}
    dashboard.jobs[NAME] = job
    assert JobsApi(dashboard.address, TOKEN).status(NAME).exit_code == 4


def test_only_jobs_of_this_program_are_listed_newest_first(dashboard: Dashboard) -> None:
    jobs = JobsApi(dashboard.address, TOKEN)
    for number, name in enumerate(("first", "second")):
        assert jobs.submit(ENTRY, {}, name)
        dashboard.jobs[name]["start_time"] += number
    dashboard.jobs["other"] = {"submission_id": "other", "status": "RUNNING", "metadata": None}
    assert [each.name for each in jobs.rows()] == ["second", "first"]


def test_a_job_is_stopped_and_its_log_read(dashboard: Dashboard) -> None:
    jobs = JobsApi(dashboard.address, TOKEN)
    jobs.submit(ENTRY, {}, NAME)
    assert jobs.log(NAME) == ["one", "two", "?[2J"]
    assert jobs.stop(NAME)
    assert jobs.status(NAME).state == "stopped"
    assert list(read_again(jobs, NAME, 2, no_sleep)) == ["two", "?[2J"]


def test_an_open_cluster_is_refused_unless_allowed_and_never_gets_the_token(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    dashboard.is_open = True
    with pytest.raises(RefusedError, match=r"asks nobody for a token.*--allow-insecure"):
        submit_by_api(dashboard.address, TOKEN, ENTRY, {}, NAME)
    assert dashboard.jobs == {}
    monkeypatch.setenv(consent.VARIABLE, "1")
    assert submit_by_api(dashboard.address, TOKEN, ENTRY, {}, NAME)
    assert {token for _, _, token in dashboard.requests} == {None}


@pytest.mark.parametrize(
    ("token", "sentence"), [(None, "export RAY_AUTH_TOKEN"), ("wrong-token", "refuses this")]
)
def test_a_missing_or_wrong_token_is_one_sentence(
    token: str | None, sentence: str, dashboard: Dashboard
) -> None:
    with pytest.raises(ForbiddenError, match=sentence) as raised:
        JobsApi(dashboard.address, token).rows()
    assert "wrong-token" not in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "kind", "sentence"),
    [
        ((302, b""), RunError, "no redirect is followed"),
        ((307, b""), RunError, "no redirect is followed"),
        (
            (500, b"Traceback\n  x\nValueError: no agent"),
            RunError,
            "HTTP 500: ValueError: no agent",
        ),
        ((400, b"TypeError: entrypoint"), ConfigError, "refuses the job: TypeError"),
        ((200, b"<html>"), RunError, "does not answer as Ray's jobs API"),
        ((200, b"[" * 100_000), RunError, "does not answer as Ray's jobs API"),
        ((200, b" " * (16 * 2**20 + 1)), RunError, "more than 16 MiB"),
        ((404, b""), NotFoundError, "has no job"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_an_odd_answer_is_one_sentence(
    answer: tuple[int, bytes], kind: type[CifarDistError], sentence: str, dashboard: Dashboard
) -> None:
    dashboard.answer = answer
    with pytest.raises(kind, match=sentence) as raised:
        JobsApi(dashboard.address, TOKEN).status(NAME)
    assert len(str(raised.value).splitlines()) == 1


def test_an_address_where_nobody_listens_is_one_sentence() -> None:
    with Dashboard() as gone:
        address = gone.address
    with pytest.raises(UnreachableError, match="does not answer"):
        JobsApi(address, TOKEN).rows()


@pytest.mark.parametrize(
    "address",
    ["localhost:8265", "ray://head:10001", "http://user:password1@head:8265", "ftp://head", "",
     "http://169.254.169.254", "http://head:99999", "http://head:8265/\r\nX: y"],
)  # fmt: skip
def test_what_is_no_dashboards_address_is_refused_without_repeating_a_password(
    address: str,
) -> None:
    with pytest.raises(ConfigError, match="--ray") as raised:
        JobsApi(address, TOKEN).rows()
    assert "password1" not in str(raised.value)


def test_http_to_the_outside_needs_consent() -> None:
    with pytest.raises(RefusedError, match="can be read on its way"):
        JobsApi("http://ray.example.org:8265", TOKEN).rows()


def test_a_secret_never_travels_in_what_the_api_shows(dashboard: Dashboard) -> None:
    with pytest.raises(RefusedError, match="AWS_SECRET_ACCESS_KEY would be shown"):
        submit_by_api(dashboard.address, TOKEN, ENTRY, {"AWS_SECRET_ACCESS_KEY": "x"}, NAME)
    assert dashboard.requests == []


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", "-a", "a" * 64])
def test_a_name_that_is_none_is_never_asked_for(name: str, dashboard: Dashboard) -> None:
    with pytest.raises(ConfigError, match="no job's name"):
        JobsApi(dashboard.address, TOKEN).status(name)
    assert dashboard.requests == []


@pytest.mark.parametrize("token", ["two\nlines", "line\r\nX-Evil: 1"])
def test_a_token_with_a_line_break_is_refused_and_not_shown(
    token: str, dashboard: Dashboard
) -> None:
    with pytest.raises(ConfigError, match="no token has") as raised:
        JobsApi(dashboard.address, token).rows()
    assert "lines" not in str(raised.value)
