"""What a real S3 server refuses is told at once: in one sentence, with the place and the remedy."""

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import botocore.auth
import pytest

from cifar_dist.errors import StoreError
from cifar_dist.store import Store, open_store
from cifar_dist.store.patience import Patience
from tests.commands import Program
from tests.fault_proxy import Fault, FaultProxy
from tests.s3_servers import OTHER, Server, Started
from tests.stores import REAL, point

LARGE = bytes(range(256)) * 4096 * 9  # 9 MiB: two parts
KEYS = "AWS_ACCESS_KEY_ID"
REQUESTS: dict[str, Callable[[Store, Path], object]] = {
    "put": lambda store, path: store.claim("new", b"ours"),
    "get": lambda store, path: store.read("key", 9),
    "list": lambda store, path: list(store.entries()),
    "large": lambda store, path: store.upload("large", path),
    "uploads": lambda store, path: store.discard_unfinished(timedelta(days=1)),
    "delete": lambda store, path: store.delete(["key"]),
}
ALLOWED = {
    "s3:ListBucket": {"list"},
    "s3:ListBucketMultipartUploads": {"uploads"},
    "s3:GetObject": {"get"},
    "s3:PutObject": {"put", "large"},
    "s3:DeleteObject": {"delete"},
}
"""The requests that need a right; a large upload first looks whether the key is taken, for which
servers want the right to get, or where nothing is there the right to list, or neither."""
UNSURE = {("s3:ListBucket", "large"), ("s3:GetObject", "large")}
ASKED = list(REQUESTS) if REAL else ["put", "large"]  # a HEAD's refusal has no body to say why


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(self: Patience, fault: Exception) -> None:
        raise AssertionError(f"a refusal is no fault to wait out: {fault}")

    monkeypatch.setattr(Patience, "wait", wait)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(LARGE)
    return path


def refusal(call: Callable[[], object], server: Server) -> str:
    """Give the sentence of a refusal."""
    with pytest.raises(StoreError) as caught:
        call()
    text = str(caught.value)
    assert caught.value.exit_code == 4
    assert "\n" not in text and os.environ["AWS_SECRET_ACCESS_KEY"] not in text
    assert text.startswith("s3://") and f" at {server.endpoint}" in text
    return text


def wrong_key(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    return f"does not know the access key.*{KEYS}"


def wrong_secret(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    return f"secret key is wrong.*{KEYS}"


def fast_clock(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    shift_clock(monkeypatch, 31)
    return "clock is wrong"


def slow_clock(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    shift_clock(monkeypatch, -31)
    return "clock is wrong"


def shift_clock(monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    """Let this process's clock, as it signs, be off."""
    real: Callable[[], datetime] = botocore.auth.get_current_datetime
    shifted = timedelta(minutes=minutes)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: real() + shifted)


CAUSES = [wrong_key, wrong_secret, fast_clock, slow_clock]


@pytest.mark.parametrize("request_", ASKED)
@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.__name__)
def test_credentials_and_clock_are_told_whatever_is_asked(
    real: Server, monkeypatch: pytest.MonkeyPatch, large: Path, request_: str, cause: Any
) -> None:
    uri = real.new_uri()
    sentence = cause(real, monkeypatch)
    store = open_store(uri)
    text = refusal(lambda: REQUESTS[request_](store, large), real)
    assert re.search(sentence, text), text


@pytest.mark.parametrize("request_", ASKED)
def test_a_missing_bucket_is_told_whatever_is_asked(
    real: Server, large: Path, request_: str
) -> None:
    store = open_store("s3://bucket-that-nobody-made/prefix")
    assert "no such bucket; create it" in refusal(lambda: REQUESTS[request_](store, large), real)


@pytest.mark.parametrize("request_", ASKED)
def test_an_expired_token_is_told_whatever_is_asked(
    plain: Server, monkeypatch: pytest.MonkeyPatch, large: Path, request_: str
) -> None:
    with FaultProxy(plain.endpoint, [Fault("expired")]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        store = open_store(plain.new_uri())
        with pytest.raises(StoreError, match="token has expired; fetch new credentials"):
            REQUESTS[request_](store, large)


def test_a_token_of_nobody_is_refused_or_not_looked_at(
    real: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "nobody's-secret")
    store = open_store(real.new_uri())
    try:
        assert list(store.entries()) == []
    except StoreError as error:
        assert "session token is not valid" in str(error)


def test_a_clock_that_is_a_little_off_does_no_harm(
    real: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift_clock(monkeypatch, 14)
    assert list(open_store(real.new_uri()).entries()) == []


@pytest.fixture(scope="session")
def _admitted() -> dict[str, str]:
    return {}


@pytest.fixture
def other(
    real: Server, _admitted: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Store, str], Store]:
    """Give a function that opens a store as another user, who has all rights but one."""
    if not isinstance(real, Started):
        pytest.skip("users are made only on a server that these tests started")
    name = _admitted.get(real.endpoint) or real.admit(OTHER)
    _admitted[real.endpoint] = name

    def open_without(store: Store, right: str) -> Store:
        resources = {"Bucket": [f"arn:aws:s3:::{real.bucket}"], "Object": real.objects()}
        statements = [
            {
                "Effect": "Allow",
                "Principal": {"AWS": [name]},
                "Action": [action for action in ALLOWED if kind in action and action != right],
                "Resource": resources[kind],
            }
            for kind in resources
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        client = store._bucket.client  # type: ignore[attr-defined]
        client.put_bucket_policy(Bucket=real.bucket, Policy=policy)
        point(monkeypatch, real.endpoint, *OTHER)
        return open_store(store.uri)

    return open_without


@pytest.mark.parametrize("right", ALLOWED)
def test_a_right_that_is_missing_is_told_and_all_else_works(
    real: Server, other: Callable[[Store, str], Store], large: Path, right: str
) -> None:
    owned = open_store(real.new_uri())
    owned.write("key", b"ours")
    store = other(owned, right)
    for name, request in REQUESTS.items():
        if name in ALLOWED[right]:
            text = refusal(partial(request, store, large), real)
            assert ("delete" if name == "delete" else "ask for list, get and put rights") in text
        else:
            with suppress(*[StoreError] * ((right, name) in UNSURE)):
                request(store, large)


def test_the_program_says_it_in_one_line_and_exits_with_4(
    real: Server, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = real.new_uri()
    wrong_secret(real, monkeypatch)
    finished = program("artifacts", "ls", "--store", uri)
    assert finished.code == 4
    assert finished.out == ""
    assert len(finished.err.splitlines()) == 1
    assert real.endpoint in finished.err and "secret key is wrong" in finished.err
