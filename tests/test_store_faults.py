"""What an S3 server or the network may do wrong, and what a user then reads."""

import io
import uuid
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from cifar_dist.errors import ConfigError, DamagedError, StoreError
from cifar_dist.store import Content, Store, open_store
from cifar_dist.store.faults import translated

pytestmark = pytest.mark.usefixtures("s3_environment")
LARGE = bytes(range(256)) * 4096 * 9  # 9 MiB: two parts


def answer(code: str, status: int) -> ClientError:
    facts: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(facts, "PutObject")


LOST = EndpointConnectionError(endpoint_url="http://user:secret@host")


class Faulty:
    """A client whose requests fail once, before or after they reach the server."""

    def __init__(self, client: object, fault: Exception, *, arrives: bool) -> None:
        self._client = client
        self._fault = fault
        self._arrives = arrives
        self._failed: set[str] = set()

    def __getattr__(self, name: str) -> object:
        real = getattr(self._client, name)

        def request(**parameters: object) -> object:
            first = name not in self._failed
            self._failed.add(name)
            result = real(**parameters) if self._arrives or not first else None
            if first:
                raise self._fault
            return result

        return request


@pytest.fixture
def s3() -> Store:
    return open_store(f"s3://bucket/{uuid.uuid4().hex}")


FAULTS = [
    answer("SlowDown", 503),
    answer("InternalError", 500),
    answer("TooManyRequests", 429),
    answer("ConditionalRequestConflict", 409),
    answer("BadDigest", 400),
    LOST,
    ReadTimeoutError(endpoint_url="http://host"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("arrives", [False, True], ids=["before", "answer lost"])
def test_every_request_survives_a_passing_fault(
    s3: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, arrives: bool
) -> None:
    bucket = s3._bucket  # type: ignore[attr-defined]
    monkeypatch.setattr(bucket, "client", Faulty(bucket.client, fault, arrives=arrives))
    (tmp_path / "large").write_bytes(LARGE)
    assert s3.claim("a/key", b"ours")
    sent = s3.upload("a/large", tmp_path / "large")
    s3.download("a/large", tmp_path / "back", sent)
    assert (tmp_path / "back").read_bytes() == LARGE
    assert [entry.key for entry in s3.entries("a")] == ["a/key", "a/large"]
    s3.delete(["a/key"])


def test_a_failed_large_upload_leaves_nothing(
    s3: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = s3._bucket.client  # type: ignore[attr-defined]

    def refuse(**_: object) -> None:
        raise answer("AccessDenied", 403)

    monkeypatch.setattr(client, "complete_multipart_upload", refuse)
    (tmp_path / "large").write_bytes(LARGE)
    with pytest.raises(StoreError, match="access is denied"):
        s3.upload("large", tmp_path / "large")
    assert s3.discard_unfinished(timedelta(hours=-1)) == 0


def test_a_killed_large_upload_can_be_discarded(s3: Store) -> None:
    prefix = s3.uri.removeprefix("s3://bucket/")
    client = s3._bucket.client  # type: ignore[attr-defined]
    client.create_multipart_upload(Bucket="bucket", Key=f"{prefix}/large")
    assert list(s3.entries()) == []
    assert s3.discard_unfinished(timedelta(hours=-1)) == 1
    assert s3.discard_unfinished(timedelta(hours=-1)) == 0


def test_a_server_that_ignores_conditions_is_refused(
    s3: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_condition", {})  # as good as not looked at
    with pytest.raises(StoreError, match="CIFAR_DIST_STORE_SINGLE_WRITER=1"):
        s3.claim("key", b"ours")


def test_a_single_writer_needs_no_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIFAR_DIST_STORE_SINGLE_WRITER", "1")
    store = open_store("s3://bucket/single")
    assert store.claim("key", b"ours") and store.claim("key", b"ours")
    assert not store.claim("key", b"theirs")


def test_bytes_bent_on_their_way_come_straight_the_third_time(
    s3: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bent, bucket = [b"bEnt", b"bent "], s3._bucket  # type: ignore[attr-defined]
    monkeypatch.setattr(bucket, "_chunks", lambda key: iter([bent.pop() if bent else b"bent"]))
    expected = Content(4, sha256(b"bent").hexdigest())
    s3.download("key", tmp_path / "file", expected)
    assert (tmp_path / "file").read_bytes() == b"bent"
    monkeypatch.setattr(bucket, "_chunks", lambda key: iter([b"bEnt"]))
    with pytest.raises(DamagedError):
        s3.download("key", tmp_path / "other", expected)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("code", "status", "remedy"),
    [
        ("NoSuchBucket", 404, "create it"),
        ("InvalidAccessKeyId", 403, "AWS_ACCESS_KEY_ID"),
        ("SignatureDoesNotMatch", 403, "AWS_SECRET_ACCESS_KEY"),
        ("ExpiredToken", 400, "fetch new credentials"),
        ("RequestTimeTooSkewed", 403, "clock"),
        ("AccessDenied", 403, "ask for list, get and put"),
        ("SomethingNew", 403, "ask for list, get and put"),
        ("PermanentRedirect", 301, "AWS_REGION"),
        ("NotImplemented", 501, "another S3 server"),
        ("ObjectParentIsFile", 409, "an object lies there"),
        ("SomethingNew", 400, "check bucket"),
    ],
)
def test_a_final_answer_names_its_remedy_at_once(code: str, status: int, remedy: str) -> None:
    error = translated(answer(code, status), "s3://bucket at http://host")
    assert isinstance(error, StoreError)
    assert str(error).startswith("s3://bucket at http://host: ")
    assert remedy in str(error)


@pytest.mark.parametrize(("code", "status"), [("400", 400), ("403", 403)])
def test_a_refusal_without_a_body_is_asked_for_its_reason(
    s3: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, status: int
) -> None:
    client = s3._bucket.client  # type: ignore[attr-defined]

    def refuse(code: str) -> Callable[..., None]:
        def request(**_: object) -> None:
            raise answer(code, status)

        return request

    monkeypatch.setattr(client, "head_object", refuse(code))
    monkeypatch.setattr(client, "get_object", refuse("ExpiredToken"))
    (tmp_path / "large").write_bytes(LARGE)
    with pytest.raises(StoreError, match="the session token has expired"):
        s3.upload("large", tmp_path / "large")


def test_in_an_outage_a_size_is_asked_for_until_the_deadline_and_not_for_another(
    s3: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[dict[str, object]]()
    client = s3._bucket.client  # type: ignore[attr-defined]
    code = ["InternalError", 503]

    def head(**_: object) -> None:
        raise answer(str(code[0]), int(code[1]))

    def get(**parameters: object) -> dict[str, object]:
        asked.append(parameters)
        return {"ETag": "x", "Body": io.BytesIO(b"1")}

    monkeypatch.setattr(s3._bucket, "_deadline", 0)  # type: ignore[attr-defined]
    monkeypatch.setattr(client, "head_object", head)
    monkeypatch.setattr(client, "get_object", get)
    (tmp_path / "large").write_bytes(LARGE)
    with pytest.raises(StoreError, match=r"failed for 0 seconds"):
        s3.upload("large", tmp_path / "large")
    assert asked == []
    code[:] = ["403", 403]
    with pytest.raises(StoreError, match="access is denied"):
        s3.upload("large", tmp_path / "large")
    assert [each["Range"] for each in asked] == ["bytes=0-0"]  # not all of it


def test_a_key_that_is_taken_and_empty_was_deleted_where_versions_are_kept(
    s3: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise answer("PreconditionFailed", 412)

    monkeypatch.setattr(s3._bucket.client, "put_object", refuse)  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="old versions; remove those too"):
        s3.claim("key", b"ours")


def test_foreign_texts_are_not_repeated() -> None:
    assert "secret" not in str(translated(LOST, "s3://bucket"))


def test_a_missing_bucket_is_named_with_its_endpoint() -> None:
    with pytest.raises(StoreError, match=r"s3://nosuchbucket/key at http://127.* no such bucket"):
        open_store("s3://nosuchbucket").write("key", b"")


def test_missing_credentials_name_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with pytest.raises(StoreError, match="AWS_ACCESS_KEY_ID"):
        open_store("s3://bucket").read("key", 1)


@pytest.mark.parametrize("endpoint", ["localhost:1", "http://[::bad", "http://a:b@127.0.0.1:1"])
def test_a_wrong_endpoint_is_refused_before_any_request(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(ConfigError, match="AWS_ENDPOINT_URL"):
        open_store("s3://bucket")
