"""The fault proxy breaks what it says it breaks, as often as it says, the same for every seed."""

import base64
import hashlib
import http.client
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.fault_proxy import Fault, FaultProxy
from tests.faults import KINDS, REFUSALS
from tests.s3_servers import Server

BODY = bytes(range(256)) * 4
SIGNED = {"Authorization": "AWS test:test"}  # the simulated server does not look at it closely
Request = Callable[..., http.client.HTTPResponse]


@pytest.fixture
def proxy(moto: Server) -> Iterator[FaultProxy]:
    with FaultProxy(moto.endpoint, strict=True) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(urlsplit(proxy.endpoint).netloc, timeout=20)) as link:
        yield link


@pytest.fixture
def ask(client: http.client.HTTPConnection) -> Request:
    """Give a function that asks for the object of this test."""

    def ask(method: str, body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        client.request(method, "/bucket/proxied", body, SIGNED | named)
        return client.getresponse()

    return ask


def stored(moto: Server) -> bytes:
    """Read the object past the proxy."""
    with closing(http.client.HTTPConnection(urlsplit(moto.endpoint).netloc)) as link:
        link.request("GET", "/bucket/proxied", headers=SIGNED)
        return link.getresponse().read()


def put(ask: Request, body: bytes = BODY) -> int:
    answer = ask("PUT", body)
    answer.read()
    return answer.status


def test_without_faults_all_passes_over_one_connection(
    ask: Request, client: http.client.HTTPConnection, proxy: FaultProxy
) -> None:
    assert put(ask) == 200
    first = client.sock
    assert ask("GET").read() == BODY
    answer = ask("HEAD")
    assert (answer.getheader("Content-Length"), answer.read()) == (str(len(BODY)), b"")
    assert client.sock is first
    assert proxy.counts == {"requests": 3}


@pytest.mark.parametrize("kind", ["500", "503", "429"])
def test_a_refused_request_never_arrives(
    ask: Request, proxy: FaultProxy, moto: Server, kind: str
) -> None:
    put(ask, b"before")
    proxy.faults.append(Fault(kind))
    answer = ask("PUT", BODY)
    assert answer.status == int(kind)
    assert f"<Code>{REFUSALS[kind][1]}</Code>".encode() in answer.read()
    assert stored(moto) == b"before" and proxy.counts[kind] == 1


@pytest.mark.parametrize(("kind", "left"), [("reset_before", b"before"), ("answer_lost", BODY)])
def test_a_reset_comes_before_the_server_or_after_it(
    ask: Request, proxy: FaultProxy, moto: Server, kind: str, left: bytes
) -> None:
    put(ask, b"before")
    proxy.faults.append(Fault(kind))
    with pytest.raises(ConnectionResetError):
        ask("PUT", BODY)
    assert stored(moto) == left and proxy.counts[kind] == 1


def test_a_truncated_answer_is_shorter_than_it_says(ask: Request, proxy: FaultProxy) -> None:
    put(ask)
    proxy.faults.append(Fault("truncated", methods=("GET",)))
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask("GET").read()
    assert caught.value.partial == BODY[: len(BODY) // 2]


def test_a_short_answer_fits_its_length(ask: Request, proxy: FaultProxy) -> None:
    put(ask)
    proxy.faults.append(Fault("short", methods=("GET",)))
    assert ask("GET").read() == BODY[: len(BODY) // 2]


def test_one_bit_of_an_answer_is_flipped(ask: Request, proxy: FaultProxy) -> None:
    put(ask)
    proxy.faults.append(Fault("flip_down", methods=("GET",)))
    bent = int.from_bytes(ask("GET").read()) ^ int.from_bytes(BODY)
    assert bent.bit_count() == 1


def digests(body: bytes) -> list[dict[str, str]]:
    def text(digest: bytes) -> str:
        return base64.b64encode(digest).decode()

    return [
        {"x_amz_content_sha256": hashlib.sha256(body).hexdigest()},
        {"x_amz_checksum_sha256": text(hashlib.sha256(body).digest())},
        {"Content_MD5": text(hashlib.md5(body).digest())},
    ]


@pytest.mark.parametrize("digest", digests(BODY), ids=lambda digest: next(iter(digest)))
def test_a_bent_request_is_refused_by_any_digest(
    ask: Request, proxy: FaultProxy, moto: Server, digest: dict[str, str]
) -> None:
    put(ask, b"before")
    proxy.faults.append(Fault("flip_up"))
    answer = ask("PUT", BODY, **digest)
    assert answer.status == 400
    assert b"BadDigest" in (text := answer.read()) or b"XAmzContentSHA256Mismatch" in text
    assert stored(moto) == b"before"
    assert (proxy.counts["flip_up"], proxy.counts["rejected"]) == (1, 1)


def test_without_digests_a_bent_request_is_stored(
    ask: Request, proxy: FaultProxy, moto: Server
) -> None:
    proxy.faults.append(Fault("flip_up"))
    assert put(ask) == 200
    assert (int.from_bytes(stored(moto)) ^ int.from_bytes(BODY)).bit_count() == 1
    assert proxy.counts["rejected"] == 0


def test_a_stalled_answer_ends_when_the_stall_does(ask: Request, proxy: FaultProxy) -> None:
    put(ask)
    proxy.faults.append(Fault("stall", methods=("GET",)))
    answer = ask("GET")
    assert answer.read(len(BODY) // 2) == BODY[: len(BODY) // 2]
    proxy.faults.clear()
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        answer.read()


def test_a_stalled_answer_is_silence(
    ask: Request, client: http.client.HTTPConnection, proxy: FaultProxy
) -> None:
    put(ask)
    proxy.faults.append(Fault("stall", methods=("GET",)))
    client.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        ask("GET").read()


def test_only_a_completion_is_refused_with_success(
    client: http.client.HTTPConnection, ask: Request, proxy: FaultProxy
) -> None:
    proxy.faults.append(Fault("error_200"))
    assert put(ask) == 200
    client.request("POST", "/bucket/proxied?uploadId=1", b"<x/>")
    answer = client.getresponse()
    assert answer.status == 200 and b"<Error>" in answer.read()
    assert proxy.counts["error_200"] == 1


def test_a_late_answer_is_late_and_can_be_broken_too(ask: Request, proxy: FaultProxy) -> None:
    proxy.faults += [Fault("latency", seconds=0.1), Fault("503")]
    start = time.monotonic()
    assert put(ask) == 503
    assert time.monotonic() - start >= 0.1
    assert (proxy.counts["latency"], proxy.counts["503"]) == (1, 1)


def test_an_outage_closes_without_an_answer(
    ask: Request, client: http.client.HTTPConnection, proxy: FaultProxy
) -> None:
    put(ask, b"before")
    proxy.down = True
    for _ in range(2):  # over an open connection, and over a new one
        with pytest.raises((ConnectionError, http.client.BadStatusLine)):
            ask("GET")
        client.close()
    proxy.down = False
    assert ask("GET").read() == b"before"


def test_a_black_hole_takes_all_and_says_nothing(
    ask: Request, client: http.client.HTTPConnection, proxy: FaultProxy
) -> None:
    proxy.stalled = True
    client.connect()
    client.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        ask("PUT", BODY)
    client.close()
    proxy.stalled = False
    assert put(ask) == 200


def test_a_server_that_is_gone_is_a_reset_connection() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    with FaultProxy(nobody) as proxy:
        link = http.client.HTTPConnection(urlsplit(proxy.endpoint).netloc)
        with closing(link), pytest.raises(ConnectionError):
            link.request("GET", "/")
            link.getresponse()
    assert proxy.counts["unreachable"] == 1


def test_a_fault_is_chosen_by_method_and_path(proxy: FaultProxy) -> None:
    proxy.faults += [Fault("503", methods=("PUT",)), Fault("500", pattern=r"list-type")]
    assert [f.kind for f in proxy.drawn("PUT", "/bucket/a", b"")] == ["503"]
    assert [f.kind for f in proxy.drawn("GET", "/bucket?list-type=2", b"")] == ["500"]
    assert proxy.drawn("GET", "/bucket/a", b"") == []


def test_a_fault_may_happen_so_often_and_no_more(proxy: FaultProxy) -> None:
    proxy.faults.append(Fault("503", times=2))
    assert [len(proxy.drawn("PUT", "/bucket/a", b"")) for _ in range(4)] == [1, 1, 0, 0]


@pytest.mark.parametrize("kind", sorted(KINDS - {"error_200"}))
def test_a_seed_gives_the_same_faults_at_its_share(kind: str) -> None:
    def happened(seed: int) -> list[bool]:
        proxy = FaultProxy("http://127.0.0.1:1", [Fault(kind, 0.3)], seed)
        proxy.close()
        return [bool(proxy.drawn("PUT", "/bucket/a", b"body")) for _ in range(1000)]

    assert happened(1) == happened(1) != happened(2)
    assert 240 < sum(happened(1)) < 360
