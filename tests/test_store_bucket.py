"""Answers that are not S3's, silent and slow servers: a fault that passes, never a wrong belief."""

import itertools
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cifar_dist.config import S3
from cifar_dist.errors import StoreError
from cifar_dist.store import Store, open_store
from cifar_dist.store import client as clients
from cifar_dist.store.s3 import S3Store

pytestmark = pytest.mark.usefixtures("s3_environment")
LARGE = bytes(range(256)) * 4096 * 9  # 9 MiB: two parts
PAGES = {
    "a page of a proxy": b"<html><body>down for maintenance</body></html>",
    "not even that": b"<html><br>oops & so",
    "an error with 200": b"<Error><Code>InternalError</Code></Error>",
    "nothing": b"",
    "a bent listing": b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents>"
    b"<Kez>a</Kez></Contents></ListBucketResult>",
    "a bent number": b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents>"
    b"<Key>a</Key><Size>1x</Size></Contents></ListBucketResult>",
    "no way on": b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
}
DONE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"


Handle = Callable[[socket.socket], None]
Serve = Callable[[Handle], str]


@pytest.fixture
def s3() -> S3Store:
    store = open_store(f"s3://bucket/{uuid.uuid4().hex}")
    assert isinstance(store, S3Store)
    return store


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve each connection by a function of its socket; gives the address."""
    with ExitStack() as opened:
        server = opened.enter_context(socket.socket())
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        server.bind(("127.0.0.1", 0))

        def begin(handle: Handle) -> str:
            server.listen()
            opened.callback(server.shutdown, socket.SHUT_RDWR)  # wakes who waits in accept
            threading.Thread(target=accept, args=(handle,), daemon=True).start()
            return f"http://127.0.0.1:{server.getsockname()[1]}"

        def accept(handle: Handle) -> None:
            with suppress(OSError):
                while True:
                    handle(opened.enter_context(server.accept()[0]))

        yield begin


def answering(body: bytes) -> Handle:
    def handle(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(DONE % (len(body), body))
        connection.shutdown(socket.SHUT_WR)

    return handle


REQUESTS: dict[str, Callable[[Store, Path], object]] = {
    "put": lambda store, path: store.claim("key", b"ours"),
    "get": lambda store, path: store.read("key", 9),
    "head": lambda store, path: store.upload("key", path),
    "list": lambda store, path: list(store.entries()),
    "uploads": lambda store, path: store.discard_unfinished(timedelta()),
}
WRONG = [
    *itertools.product(REQUESTS, ["a page of a proxy"]),
    *itertools.product(["list"], list(PAGES)[1:]),
]


@pytest.mark.parametrize(("request_", "page"), WRONG)
def test_an_answer_that_is_not_s3s_is_a_fault_that_may_pass(
    serve: Serve, tmp_path: Path, request_: str, page: str
) -> None:
    (tmp_path / "large").write_bytes(LARGE)
    endpoint = serve(answering(PAGES[page]))
    store = open_store("s3://bucket", S3(endpoint=endpoint, deadline_seconds=0))
    with pytest.raises(StoreError, match=r"failed for \d+ seconds"):
        REQUESTS[request_](store, tmp_path / "large")


def silent(connection: socket.socket) -> None:
    connection.recv(1 << 16)


def half(connection: socket.socket) -> None:
    connection.recv(1 << 16)
    connection.sendall(b'HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: 9\r\n\r\nhalf')


@pytest.mark.parametrize("handle", [silent, half])
def test_a_server_that_falls_silent_is_given_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, handle: Handle
) -> None:
    monkeypatch.setitem(clients._COMMON, "read_timeout", 0.2)
    given = S3(endpoint=serve(handle), deadline_seconds=0)
    with pytest.raises(StoreError, match="ReadTimeoutError"):
        open_store("s3://bucket", given).read("key", 9)


def test_a_body_is_sent_in_pieces_so_that_a_slow_link_is_not_a_silent_one(s3: S3Store) -> None:
    sent: list[Any] = []
    s3._bucket.client.meta.events.register(
        "before-send.s3.PutObject", lambda request, **_: sent.append(request.body)
    )
    s3.write("key", LARGE[: 8 << 20])
    # A socket's timeout is for all of the bytes given to it at once; a file's are read as they go.
    assert sent and all(hasattr(body, "read") for body in sent)


class Refusing:
    """A client that refuses some requests, by their number among those of their name."""

    def __init__(self, client: Any, operation: str, numbers: set[int], code: str) -> None:
        self._client, self._operation = client, operation
        self._numbers, self._code = numbers, code
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        if name != self._operation:
            return getattr(self._client, name)

        def request(**parameters: object) -> object:
            self.count += 1
            if self.count in self._numbers:
                facts: Any = {"Error": {"Code": self._code}}
                raise ClientError({**facts, "ResponseMetadata": {"HTTPStatusCode": 404}}, name)
            return getattr(self._client, name)(**parameters)

        return request


@pytest.mark.parametrize("operation", ["upload_part", "complete_multipart_upload"])
@pytest.mark.parametrize("code", ["NoSuchUpload", "InvalidPart"])
def test_an_upload_that_the_server_forgot_begins_again(
    s3: S3Store, tmp_path: Path, operation: str, code: str
) -> None:
    (tmp_path / "large").write_bytes(LARGE)
    client = Refusing(s3._bucket.client, operation, {1}, code)
    s3._bucket.client = client  # type: ignore[assignment]
    assert s3.upload("large", tmp_path / "large") == s3.digest("large")
    assert client.count > 1
    assert s3.discard_unfinished(timedelta(hours=-1)) == 0


def test_a_server_that_forgets_every_upload_is_told_of(s3: S3Store, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(LARGE)
    client = Refusing(s3._bucket.client, "upload_part", {1, 2, 3}, "NoSuchUpload")
    s3._bucket.client = client  # type: ignore[assignment]
    with pytest.raises(StoreError, match="forgot the parts of this upload 3 times"):
        s3.upload("large", tmp_path / "large")


def test_unfinished_uploads_are_found_on_every_page_and_by_the_servers_clock(
    s3: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [uploads_page(number) for number in range(3)]
    client, gone = s3._bucket.client, []
    monkeypatch.setattr(
        client, "list_multipart_uploads", lambda **at: pages[int(at.get("KeyMarker", 0))]
    )
    monkeypatch.setattr(client, "abort_multipart_upload", lambda **which: gone.append(which) or {})
    assert s3.discard_unfinished(timedelta(hours=3)) == 0
    assert s3.discard_unfinished(timedelta(hours=1)) == 3
    assert [which["UploadId"] for which in gone] == ["0", "1", "2"]


def uploads_page(number: int) -> dict[str, Any]:
    return {
        "ResponseMetadata": {"HTTPHeaders": {"date": "Tue, 01 Jan 2030 02:00:00 GMT"}},
        "IsTruncated": number < 2,
        "NextKeyMarker": str(number + 1),
        "NextUploadIdMarker": "x",
        "Uploads": [
            {
                "Key": str(number),
                "UploadId": str(number),
                "Initiated": datetime(2030, 1, 1, tzinfo=UTC),
            }
        ],
    }


def test_the_time_is_the_servers(s3: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    page = {**uploads_page(2), "Contents": []}
    monkeypatch.setattr(s3._bucket.client, "list_objects_v2", lambda **asked: page)
    assert s3.now() == datetime(2030, 1, 1, 2, tzinfo=UTC)


def test_unfinished_uploads_are_found_below_the_folders_that_are_named(s3: S3Store) -> None:
    prefix = s3.uri.removeprefix("s3://bucket/")
    for key in ("runs/a/x", "runs-b/x", "x"):
        s3._bucket.client.create_multipart_upload(Bucket="bucket", Key=f"{prefix}/{key}")
    old = timedelta(hours=-1)
    assert (s3.unfinished(old, ["runs"]), s3.unfinished(old)) == (1, 3)
    assert s3.discard_unfinished(old, ["runs", "sweeps"]) == 1
    assert (s3.unfinished(old, ["runs"]), s3.discard_unfinished(old)) == (0, 2)


def test_an_upload_that_ends_meanwhile_needs_no_abort(s3: S3Store) -> None:
    prefix = s3.uri.removeprefix("s3://bucket/")
    client = s3._bucket.client
    client.create_multipart_upload(Bucket="bucket", Key=f"{prefix}/large")
    s3._bucket.client = Refusing(client, "abort_multipart_upload", {1}, "NoSuchUpload")  # type: ignore[assignment]
    assert s3.discard_unfinished(timedelta(hours=-1)) == 1


def test_foreign_keys_below_the_prefix_are_passed_over(s3: S3Store) -> None:
    prefix = s3.uri.removeprefix("s3://bucket/")
    for name in ("a/x", "a/odd name/x", "a/.hidden", "a/ü/x", "a//x"):
        s3._bucket.client.put_object(Bucket="bucket", Key=f"{prefix}/{name}", Body=b"")
    assert [entry.key for entry in s3.entries("a")] == ["a/x"]
    assert s3.folders("a") == []


@pytest.mark.parametrize("size", [5, len(LARGE)])
def test_a_browser_shows_a_report_that_lies_in_a_bucket(
    s3: S3Store, tmp_path: Path, size: int
) -> None:
    (tmp_path / "file").write_bytes(LARGE[:size])
    shown = {"a/index.html": "text/html; charset=utf-8", "a/w.bin": "application/octet-stream"}
    for key, kind in shown.items():
        s3.upload(key, tmp_path / "file")
        assert s3._bucket.ask("head_object", Key=s3._name(key))["ContentType"] == kind
