"""The endpoint answers many at once and anything at all, and keeps neither threads nor ports."""

import gzip
import http.client
import select
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cifar_dist.errors import ConfigError
from cifar_dist.metrics import HOST_VARIABLE, Board, Server


@pytest.fixture
def server() -> Iterator[Server]:
    board = Board()
    board.open("tiny-00000000").expect(1, 100)
    with Server(board.registry, 0) as served:
        yield served


def ask(
    server: Server, path: str = "/metrics", method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(*server.address, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, headers=named)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def send(server: Server, data: bytes) -> bytes:
    """Send bytes as they are; gives the first line of the answer."""
    with socket.create_connection(server.address, timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answer:
            return answer.readline().strip()


def idle(threads: int) -> bool:
    deadline = time.monotonic() + 10
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    return threading.active_count() <= threads


def served_again(server: Server) -> bool:
    deadline = time.monotonic() + 10
    while (status := ask(server)[0]) != 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    return status == 200


def test_metrics_are_told_as_text_and_health_as_a_word(server: Server) -> None:
    status, headers, body = ask(server)
    assert (status, int(headers["content-length"])) == (200, len(body))
    assert headers["content-type"].startswith("text/plain; version=")
    assert b'cifar_dist_epochs_total{run="tiny-00000000"} 0.0' in body
    assert ask(server, "/healthz")[::2] == (200, b"ok\n")
    assert server.url == f"http://127.0.0.1:{server.address[1]}/metrics"


def test_openmetrics_and_gzip_are_given_to_who_asks(server: Server) -> None:
    accepted = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    _, headers, body = ask(server, Accept=accepted, Accept_Encoding="deflate, gzip;q=0.5")
    assert headers["content-encoding"] == "gzip"
    assert headers["content-type"].startswith("application/openmetrics-text")
    assert gzip.decompress(body).endswith(b"# EOF\n")
    assert "content-encoding" not in ask(server, Accept_Encoding="gzip;q=0, br")[1]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"DELETE /metrics HTTP/1.0\r\n\r\n", 405),
        (b"GET /secrets HTTP/1.1\r\n\r\n", 404),
        (b"GET /metrics/../../etc/passwd HTTP/1.1\r\n\r\n", 404),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)), 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET  HTTP/1.1\r\n\r\n", 400),
        (b"GET /metrics HTTP/9.9\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nnocolon\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", 431),
        (b"G" * 300_000, 431),
        (b"", 400),
    ],
)
def test_a_bad_request_is_refused_and_the_next_one_served(
    server: Server, sent: bytes, status: int
) -> None:
    assert send(server, sent).split()[1] == str(status).encode()
    assert ask(server)[0] == 200


def test_the_head_of_an_answer_comes_without_its_body(server: Server) -> None:
    status, headers, body = ask(server, method="HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 100


def test_many_scrapes_at_once_are_served_or_asked_to_come_again(server: Server) -> None:
    before = threading.active_count()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: ask(server)[0], range(100)))
    assert set(answers) <= {200, 503}
    assert answers.count(200) >= 8
    assert idle(before)


def test_slow_clients_hold_a_few_threads_for_a_moment_and_no_more(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cifar_dist.metrics.server._SECONDS", 0.3)
    before = threading.active_count()
    slow = [socket.create_connection(server.address, timeout=10) for _ in range(40)]
    try:
        for connection in slow:
            connection.sendall(b"GET /met")
        deadline, answered = time.monotonic() + 10, 0
        while answered < 32 and time.monotonic() < deadline:
            assert threading.active_count() <= before + 8
            answered = len(select.select(slow, [], [], 0.01)[0])
        assert answered >= 32, "who comes while eight are served is turned away"
        assert served_again(server)
        assert idle(before)
    finally:
        for connection in slow:
            connection.close()


def test_an_error_as_metrics_are_read_is_told_and_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    board = Board()
    with Server(board.registry, 0) as server:
        board.open("tiny-00000000").follow("no standing")  # type: ignore[arg-type]
        assert ask(server)[0] == 500
        assert ask(server, "/healthz")[0] == 200
    assert "the metrics cannot be read" in caplog.text
    assert "AttributeError" in caplog.text


def test_a_client_that_goes_away_leaves_nothing_behind(server: Server) -> None:
    before = threading.active_count()
    for _ in range(20):
        with socket.create_connection(server.address) as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    assert idle(before)
    assert ask(server)[0] == 200


def test_a_port_in_use_is_told_with_what_to_do(server: Server) -> None:
    with pytest.raises(ConfigError, match=r"choose another --metrics-port, or 0"):
        Server(Board().registry, server.address[1])


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_number_that_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(ConfigError, match="from 0 to 65535"):
        Server(Board().registry, port)


def test_the_address_is_this_machines_own_unless_it_is_widened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(HOST_VARIABLE, "0.0.0.0")
    with Server(Board().registry, 0) as wide:
        assert wide.address[0] == "0.0.0.0"
    monkeypatch.setenv(HOST_VARIABLE, "no such host")
    with pytest.raises(ConfigError, match=HOST_VARIABLE):
        Server(Board().registry, 0)


def test_a_closed_server_gives_its_port_and_its_threads_back() -> None:
    before = threading.active_count()
    with Server(Board().registry, 0) as first:
        port = first.address[1]
    assert idle(before)
    with Server(Board().registry, port) as second:
        assert ask(second)[0] == 200
