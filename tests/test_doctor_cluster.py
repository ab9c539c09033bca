"""What the examination says of a Ray cluster: dead, open, of another version, and sound."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from threading import Thread
from typing import NoReturn

import grpc
import pytest

from cifar_dist import consent
from cifar_dist.cluster import checkup, door  # settles Ray's token before any is set here
from cifar_dist.cluster.checkup import Group
from cifar_dist.cluster.connection import Cluster, connected
from cifar_dist.doctor import CHECKS, Setup, examine
from cifar_dist.doctor.check import raised
from cifar_dist.doctor.workers import workers_gradient, workers_sum
from cifar_dist.documents import CheckRow
from cifar_dist.errors import CifarDistError, DeviceError

TOKEN = "canary-of-the-cluster"
RAY = tuple(check for check in CHECKS if check.name.startswith("ray_"))
WORKERS = tuple(check for check in CHECKS if check.name.startswith("workers_"))


def rows_of(workers: int | None = None) -> dict[str, CheckRow]:
    """Examine the cluster alone, and its workers where they are asked for."""
    checks = (*RAY, *WORKERS) if workers else RAY
    document = examine(Setup("nowhere", "synthetic", workers), checks)
    return {row.name: row for row in document.checks}


@contextmanager
def dashboard(token: str | None, version: str) -> Iterator[str]:
    """Serve a dashboard's version, to everybody or to who has the token; gives host:port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status = 200 if token in (None, given) else 403 if given else 401
            body = json.dumps({"ray_version": version}).encode() if status == 200 else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "RAY_ADDRESS", "RAY_DASHBOARD_ADDRESS", "RAY_USE_TLS", consent.VARIABLE
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _closed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the head ask for a token, where there is no real one."""
    if "ray_address" not in request.fixturenames:
        monkeypatch.setattr(door, "_status", lambda _: grpc.StatusCode.UNAUTHENTICATED)


def point(monkeypatch: pytest.MonkeyPatch, address: str, token: str = TOKEN) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", address)


def test_a_cluster_with_a_token_and_our_version_is_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    with dashboard(TOKEN, metadata.version("ray")) as address:
        point(monkeypatch, address)
        rows = rows_of()
    assert {row.verdict for row in rows.values()} == {"ok"}, rows
    assert TOKEN not in str(rows)


def test_an_open_cluster_is_a_failure_and_gets_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with dashboard(None, metadata.version("ray")) as address:
        point(monkeypatch, address)
        rows = rows_of(workers=2)
    row = rows["ray_token"]
    assert (row.verdict, row.exit_code) == ("failed", 5)
    assert "without a token" in row.found
    assert "RAY_AUTH_MODE=token" in (row.remedy or "")
    assert {row.verdict for name, row in rows.items() if name > "ray_token"} == {"skipped"}


def test_an_open_cluster_is_a_warning_to_who_consents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIFAR_DIST_ALLOW_INSECURE", "1")
    with dashboard(None, metadata.version("ray")) as address:
        point(monkeypatch, address)
        rows = rows_of()
    assert [row.verdict for row in rows.values()] == ["ok", "warning", "ok"]


@pytest.mark.parametrize(
    ("status", "verdict", "code", "said"),
    [
        (grpc.StatusCode.OK, "failed", 5, "without a token"),
        (grpc.StatusCode.UNIMPLEMENTED, "failed", 5, "without a token"),
        (grpc.StatusCode.UNAVAILABLE, "failed", 3, "does not answer as Ray"),
        (grpc.StatusCode.PERMISSION_DENIED, "ok", 0, "asks for a token"),
    ],
)
def test_where_the_dashboard_refuses_the_head_itself_is_asked(
    status: grpc.StatusCode,
    verdict: str,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "_status", lambda _: status)
    with dashboard(TOKEN, metadata.version("ray")) as address:
        point(monkeypatch, address)
        row = rows_of()["ray_token"]
    assert (row.verdict, row.exit_code) == (verdict, code)
    assert said in row.found


def test_a_local_ray_without_a_token_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    row = rows_of()["ray_token"]
    assert (row.verdict, row.exit_code, row.remedy) == ("failed", 5, "run `unset RAY_AUTH_MODE`")
    monkeypatch.setenv(consent.VARIABLE, "1")
    assert rows_of()["ray_token"].verdict == "warning"


def test_too_few_cpus_for_the_workers_are_told_with_the_flag(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def placed(*_: object) -> NoReturn:
        raise DeviceError("placement needs 9 CPUs but the cluster has 1; lower placement.workers")

    cluster = nullcontext(Cluster(nodes=((1.0, 0.0),), dashboard=None))
    monkeypatch.setattr(checkup, "connected", lambda: cluster)
    monkeypatch.setattr(checkup, "placed", placed)
    finding = raised(caught(lambda: checkup.meet(9)))
    assert finding.exit_code == DeviceError.exit_code
    assert "the cluster has 1" in finding.found
    assert (finding.remedy or "").startswith("ask for fewer with --workers")


def caught(work: Callable[[], object]) -> CifarDistError:
    with pytest.raises(CifarDistError) as error:
        work()
    return error.value


@pytest.mark.parametrize(("given", "said"), [("another", "does not know"), ("", "asks for")])
def test_a_wrong_token_is_told(
    given: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", f"{tmp_path}/none")
    with dashboard(TOKEN, metadata.version("ray")) as address:
        point(monkeypatch, address, given)
        row = rows_of()["ray_version"]
    assert (row.verdict, row.exit_code) == ("failed", 3)
    assert said in row.found
    assert "RAY_AUTH_TOKEN" in (row.remedy or "")


def test_another_version_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with dashboard(TOKEN, "2.9.0") as address:
        point(monkeypatch, address)
        row = rows_of()["ray_version"]
    assert (row.verdict, row.exit_code) == ("failed", 3)
    assert "'2.9.0'" in row.found
    assert metadata.version("ray") in row.found


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("127.0.0.1:1", 3, "nobody answers"),
        ("127.0.0.1:99999", 3, "nobody answers"),
        ("127.0.0.1:²", 3, "nobody answers"),
        (f"{'a' * 99}:6379", 3, "nobody answers"),
        ("ray://head:10001", 2, "is not host:port"),
        ("http://head:8265", 2, "is not host:port"),
        (":6379", 2, "is not host:port"),
    ],
)
def test_a_wrong_address_is_told(
    address: str, code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    point(monkeypatch, address)
    rows = rows_of()
    assert (rows["ray_address"].verdict, rows["ray_address"].exit_code) == ("failed", code)
    assert said in rows["ray_address"].found
    assert rows["ray_token"].found == "ray_address failed"
    if said == "nobody answers":
        assert said in str(caught(lambda: connected().__enter__()))


def test_a_word_in_place_of_an_address_is_left_to_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    rows = rows_of()
    assert [row.verdict for row in rows.values()] == ["warning", "skipped", "skipped"]


def test_a_wrong_sum_and_another_gradient_are_failures() -> None:
    setup = Setup("nowhere", "synthetic", 2)
    setup.__dict__["group"] = Group(
        nodes=((2.0, 0.0),),
        hosts=("a", "b"),
        backend="gloo",
        device="cpu",
        sum_is_exact=False,
        bytes=16 << 20,
        bytes_per_second=1e9,
        gradient_difference=0.5,
    )
    for look in (workers_sum, workers_gradient):
        finding = look(setup)
        assert (finding.verdict, finding.exit_code) == ("failed", 3)


@pytest.mark.cluster
@pytest.mark.filterwarnings("default")  # Ray's own are its makers' business
def test_workers_of_a_real_cluster_compute_what_one_process_does(ray_address: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", ray_address)
        rows = rows_of(workers=2)
    sure = [
        row for name, row in rows.items() if name != "ray_version"
    ]  # its dashboard is elsewhere
    assert {row.verdict for row in sure} == {"ok"}, rows
    assert rows["workers_sum"].found.startswith("exact, ")
