"""What a real S3 server must do so that runs are safe in it, beyond the contract of every store."""

import itertools
import re
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cifar_dist.config import S3
from cifar_dist.errors import RefusedError, StoreError
from cifar_dist.runs import Run, list_runs, verify
from cifar_dist.store import Content, MissingError, open_store
from cifar_dist.store.s3 import S3Store
from tests.fault_proxy import Fault, FaultProxy
from tests.s3_servers import Radosgw, Server, Started
from tests.stores import REAL
from tests.writers import commit, is_exact

LARGE = bytes(range(256)) * 4096 * 9  # 9 MiB: two parts
NAME = "a-00000000"
PLAIN = ["notes.txt", "runs/README", f"runs/{NAME}.bak", f"runs/{NAME}/notes.txt"]
ODD = ["{0}/odd name", "{0}/../x", "{0}//x", "{0}/ü", "{0}/.hidden", "{0}/a\\b", "{0}/x\ny", "{0}/"]
FOLDERS = ["", "runs", f"runs/{NAME}", f"runs/{NAME}/attempts", f"runs/{NAME}/attempts/000001"]
FOREIGN = [*PLAIN, f"runs/{NAME}", *(odd.format(at) for at in FOLDERS for odd in ODD)]
"""Keys that are none of ours; one of them is the beginning of all of a run's."""
long_only = pytest.mark.skipif(not REAL, reason="takes seconds: run it by `make test-s3`")


def opened(uri: str, s3: S3 | None = None) -> S3Store:
    store = open_store(uri, s3)
    assert isinstance(store, S3Store)
    return store


@pytest.fixture
def s3(real: Server) -> Iterator[S3Store]:
    store = opened(real.new_uri())
    yield store
    # By the client: the store neither lists nor removes a key that is not plain.
    client, (bucket, _, prefix) = store._bucket.client, store.uri[len("s3://") :].partition("/")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    for key in [item["Key"] for page in pages for item in page.get("Contents", [])]:
        client.delete_object(Bucket=bucket, Key=key)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(LARGE)
    return path


def put_foreign(store: S3Store, key: str, data: bytes = b"foreign") -> bool:
    """Put an object past the store; False if the server takes no such key."""
    bucket, _, prefix = store.uri.removeprefix("s3://").partition("/")
    with suppress(ClientError):
        store._bucket.client.put_object(Bucket=bucket, Key=f"{prefix}/{key}", Body=data)
        return True
    return False


def before(store: S3Store, operation: str, act: Callable[[], object], number: int = 1) -> None:
    """Act once, just before a request of a kind is sent for the n-th time."""
    count = itertools.count(1)

    def hook(**_: object) -> None:
        if next(count) == number:
            act()

    store._bucket.client.meta.events.register(f"before-call.s3.{operation}", hook)


@long_only
def test_more_keys_than_a_page_holds_are_all_listed_and_removed(s3: S3Store) -> None:
    keys = [f"many/{number:04}/{number % 3}" for number in range(1100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: put_foreign(s3, key, b""), keys))
    assert [entry.key for entry in s3.entries("many")] == keys
    assert s3.folders("many") == [key.split("/")[1] for key in keys]
    s3.delete(keys)
    assert list(s3.entries()) == []


def test_foreign_keys_under_our_prefix_change_nothing(s3: S3Store, tmp_path: Path) -> None:
    run = Run(s3, f"runs/{NAME}")
    run.create({"job": {"name": "a"}})
    attempt = run.claim_attempt()
    for step in (1, 2):
        commit(attempt, tmp_path, step)
    taken = [key for key in FOREIGN if put_foreign(s3, key)]
    assert set(PLAIN) <= set(taken) and len(taken) > 2 * len(PLAIN)
    assert [row.id for row in list_runs(s3)] == [NAME]
    assert {row.verdict for row in verify(s3, NAME)} == {"intact"}
    chosen = run.latest_intact(tmp_path / "resumed")
    assert chosen is not None and chosen.step == 2 and is_exact(tmp_path / "resumed", 2)
    assert run.claim_attempt().number == 2


def test_a_foreign_object_in_the_way_is_told_or_does_no_harm(s3: S3Store) -> None:
    assert put_foreign(s3, "runs")
    try:
        s3.write("runs/a/run.json", b"ours")
    except StoreError as error:
        assert "an object lies there" in str(error) and s3._bucket.endpoint in str(error)
    else:
        assert s3.read("runs/a/run.json", 9) == b"ours"


@pytest.mark.parametrize(
    ("operation", "number"), [("UploadPart", 2), ("CompleteMultipartUpload", 1)]
)
def test_a_server_that_is_killed_amid_an_upload_has_it_whole_in_the_end(
    real: Server, s3: S3Store, large: Path, operation: str, number: int
) -> None:
    if not isinstance(real, Started):
        pytest.skip("only a server that these tests started is killed")

    def crash() -> None:
        real.kill()
        threading.Timer(0.3, real.start).start()

    before(s3, operation, crash, number)
    sent = s3.upload("large", large)
    assert sent == Content(len(LARGE), sha256(LARGE).hexdigest()) == s3.digest("large")
    assert s3.discard_unfinished(timedelta(hours=-1)) == 0


def test_the_uploads_of_killed_writers_are_found_and_those_of_others_left(real: Server) -> None:
    ours, theirs = opened(real.new_uri()), opened(real.new_uri())
    for store in (ours, theirs):
        bucket, _, prefix = store.uri.removeprefix("s3://").partition("/")
        store._bucket.client.create_multipart_upload(Bucket=bucket, Key=f"{prefix}/large")
    assert ours.discard_unfinished(timedelta(hours=1)) == 0
    assert ours.discard_unfinished(timedelta(hours=-1)) == 1
    assert theirs.discard_unfinished(timedelta(hours=-1)) == 1


def test_a_large_upload_that_comes_second_is_refused(
    real: Server, s3: S3Store, large: Path, request: pytest.FixtureRequest
) -> None:
    if isinstance(real, Radosgw):
        reason = "Ceph 16 looks at no condition as an upload completes; claims keep writers apart"
        request.applymarker(pytest.mark.xfail(reason=reason, raises=pytest.fail.Exception))
    before(s3, "CompleteMultipartUpload", lambda: put_foreign(s3, "large", b"first"))
    with pytest.raises(RefusedError, match="ever overwritten"):
        s3.upload("large", large)
    assert s3.read("large", 9) == b"first"


def test_no_two_claimers_of_a_run_ever_write_under_the_same_keys(real: Server, s3: S3Store) -> None:
    uri, numbers = s3.uri, []

    def claim(_: int) -> None:
        numbers.append(Run(open_store(uri), f"runs/{NAME}").claim_attempt().number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(claim, range(4)))
    assert sorted(numbers) == [1, 2, 3, 4]


def ignore_conditions(store: S3Store) -> None:
    """Let the server see no condition, which is as good as not looking at it."""

    def strip(request: Any, **_: object) -> None:
        del request.headers["If-None-Match"]

    store._bucket.client.meta.events.register("before-sign.s3.PutObject", strip)


def test_a_server_without_conditional_writes_is_refused_at_the_first(s3: S3Store) -> None:
    ignore_conditions(s3)
    place = rf"s3://.* at {s3._bucket.endpoint} ignores conditional writes"
    with pytest.raises(StoreError, match=f"{place}.*CIFAR_DIST_STORE_SINGLE_WRITER=1"):
        s3.claim("key", b"ours")


def test_a_server_that_says_it_has_no_conditional_writes_is_refused(
    plain: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultProxy(plain.endpoint, [Fault("unsupported", methods=("PUT",))]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        with pytest.raises(StoreError, match=r"conditional writes\); use another S3 server"):
            open_store(plain.new_uri()).claim("key", b"ours")


def test_a_single_writer_does_without_conditional_writes(s3: S3Store) -> None:
    alone = opened(s3.uri, S3(single_writer=True))
    assert alone.claim("key", b"ours") and alone.claim("key", b"ours")
    assert not alone.claim("key", b"theirs")


@pytest.mark.parametrize("checksums", ["when_required", "when_supported"])
def test_every_checksum_mode_brings_the_bytes_there_and_back(
    s3: S3Store, large: Path, tmp_path: Path, checksums: Any
) -> None:
    store = opened(s3.uri, S3(checksums=checksums))
    store.write("small", b"ours")
    sent = store.upload("large", large)
    store.download("large", tmp_path / "back", sent)
    assert (tmp_path / "back").read_bytes() == LARGE
    assert store.read("small", 9) == b"ours"
    store.delete(["small"])


def test_bytes_bent_on_their_way_are_refused_by_the_server_and_sent_again(
    plain: Server, s3: S3Store, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flips = [Fault("flip_up", methods=("PUT",), times=3)]
    with FaultProxy(plain.endpoint, flips) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        store = open_store(s3.uri)
        store.write("small", b"ours")
        sent = store.upload("large", large)
    assert proxy.counts["flip_up"] == proxy.counts["rejected"] == 3
    assert s3.digest("large") == sent and s3.read("small", 9) == b"ours"


@pytest.fixture
def versioned(s3: S3Store) -> Iterator[S3Store]:
    """Give a store in a bucket of its own that keeps versions."""
    client, name = s3._bucket.client, f"cifar-{uuid.uuid4().hex}"
    with ExitStack() as undo:
        try:
            client.create_bucket(Bucket=name)
            undo.callback(client.delete_bucket, Bucket=name)
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        except ClientError as error:
            pytest.skip(f"no bucket with versions to be had: {error.response['Error']['Code']}")
        yield opened(f"s3://{name}/runs")
        page = client.list_object_versions(Bucket=name)
        for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            client.delete_object(Bucket=name, Key=item["Key"], VersionId=item["VersionId"])


def test_what_was_deleted_in_a_bucket_with_versions_is_gone(versioned: S3Store) -> None:
    store = opened(versioned.uri, S3(single_writer=True))
    store.write("a/key", b"ours")
    store.delete(["a/key"])
    assert list(store.entries()) == []
    with pytest.raises(MissingError):
        store.read("a/key", 9)


def test_a_bucket_with_versions_keeps_the_first_writers_bytes_or_is_refused(
    versioned: S3Store,
) -> None:
    try:
        versioned.write("key", b"first")
    except StoreError as error:  # so is one of Ceph 16, which overwrites there
        assert "ignores conditional writes" in str(error)
        return
    assert not versioned.claim("key", b"second")
    assert versioned.read("key", 9) == b"first"


def test_a_key_deleted_in_a_bucket_with_versions_can_be_written_again_or_is_told(
    versioned: S3Store,
) -> None:
    try:
        versioned.write("key", b"first")
        versioned.delete(["key"])
        versioned.write("key", b"again")
    except StoreError as error:
        assert re.search("ignores conditional writes|old versions; remove those too", str(error))
    else:
        assert versioned.read("key", 9) == b"again"


def test_a_server_that_is_not_installed_says_which_packages_it_needs() -> None:
    script = Path(__file__).parents[1] / "deploy" / "radosgw"
    ended = subprocess.run(["/bin/bash", script], env={"PATH": ""}, capture_output=True, text=True)
    assert ended.returncode == 2 and len(ended.stderr.splitlines()) == 1
    assert "install the packages radosgw, ceph-mon, ceph-osd" in ended.stderr
