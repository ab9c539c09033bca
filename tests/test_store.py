"""One contract for every kind of store."""

import os
import threading
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import pytest

from cifar_dist.errors import ConfigError, DamagedError, RefusedError, StoreError
from cifar_dist.store import Content, MissingError, Store, open_store

LARGE = bytes(range(256)) * 4096 * 9  # 9 MiB: more than one part of a multipart upload


def content(data: bytes) -> Content:
    return Content(len(data), sha256(data).hexdigest())


def test_what_was_written_is_read_back(store: Store) -> None:
    store.write("runs/a/run.json", b"one")
    assert store.read("runs/a/run.json", 3) == b"one"
    assert store.digest("runs/a/run.json") == content(b"one")


def test_writing_the_same_bytes_again_is_fine(store: Store) -> None:
    store.write("key", b"one")
    store.write("key", b"one")
    assert store.claim("key", b"one")


def test_an_object_is_never_overwritten(store: Store, tmp_path: Path) -> None:
    store.write("key", b"one")
    (tmp_path / "two").write_bytes(b"two")
    assert not store.claim("key", b"two")
    with pytest.raises(RefusedError, match="ever overwritten"):
        store.write("key", b"two")
    with pytest.raises(RefusedError):
        store.upload("key", tmp_path / "two")
    assert store.read("key", 10) == b"one"


def test_one_of_many_claimers_wins(store: Store) -> None:
    won: list[int] = []

    def claim(number: int) -> None:
        if store.claim("claim", str(number).encode()):
            won.append(number)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [str(number).encode() for number in won] == [store.read("claim", 10)]


@pytest.mark.parametrize("data", [b"", b"small", LARGE], ids=["empty", "small", "large"])
def test_a_file_comes_back_as_it_was_sent(store: Store, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "sent").write_bytes(data)
    sent = store.upload("folder/file", tmp_path / "sent")
    assert sent == content(data) == store.upload("folder/file", tmp_path / "sent")
    store.download("folder/file", tmp_path / "deep" / "received", sent)
    assert (tmp_path / "deep" / "received").read_bytes() == data


def test_a_large_object_is_never_overwritten(store: Store, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(LARGE)
    (tmp_path / "two").write_bytes(LARGE[::-1])
    store.upload("key", tmp_path / "one")
    with pytest.raises(RefusedError):
        store.upload("key", tmp_path / "two")
    assert store.digest("key") == content(LARGE)


@pytest.mark.parametrize("expected", [content(b"tow"), content(b"tw"), content(b"twoo")])
def test_bytes_that_differ_from_their_record_never_appear(
    store: Store, tmp_path: Path, expected: Content
) -> None:
    store.write("key", b"two")
    with pytest.raises(DamagedError, match=r"key in .* is damaged"):
        store.download("key", tmp_path / "target" / "file", expected)
    assert list((tmp_path / "target").iterdir()) == []


def test_a_missing_object_says_so(store: Store, tmp_path: Path) -> None:
    for ask in (
        lambda: store.read("no", 1),
        lambda: store.digest("no"),
        lambda: store.download("no", tmp_path / "file", content(b"")),
    ):
        with pytest.raises(MissingError):
            ask()


def test_an_object_above_the_limit_is_not_read(store: Store) -> None:
    store.write("key", b"four")
    with pytest.raises(DamagedError, match="larger than 3 bytes"):
        store.read("key", 3)


def test_objects_are_listed_in_key_order(store: Store) -> None:
    keys = ["a/1/x", "a/1.json", "a/2/y", "a/2.json", "ab/z", "b"]
    for key in keys:
        store.write(key, key.encode())
    assert [entry.key for entry in store.entries()] == sorted(keys)
    assert [(e.key, e.bytes) for e in store.entries("a/2")] == [("a/2/y", 5)]
    assert store.folders("a") == ["1", "2"]
    assert all(entry.modified.tzinfo for entry in store.entries())


def test_a_missing_folder_is_empty(store: Store) -> None:
    assert list(store.entries("nothing")) == []
    assert store.folders("nothing") == []


def test_deleted_objects_are_gone_and_may_be_gone_already(store: Store) -> None:
    store.write("a/b/c", b"")
    store.write("a/d", b"")
    store.delete(["a/b/c", "a/b/never"])
    assert [entry.key for entry in store.entries()] == ["a/d"]
    store.delete([])


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "..", "a/../b", ".parts/a", "a\nb", "a\\b", "ä", "x" * 901]
)
def test_a_key_that_is_not_plain_is_refused(store: Store, key: str) -> None:
    with pytest.raises(RefusedError, match="not plain"):
        store.write(key, b"")
    with pytest.raises(RefusedError, match="not plain"):
        store.read(key, 1)


def test_nothing_unfinished_is_left_to_discard(store: Store, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(LARGE)
    store.upload("key", tmp_path / "large")
    assert store.discard_unfinished(timedelta(seconds=-60)) == 0


def test_the_time_is_told_by_the_clock_that_dates_what_is_listed(store: Store) -> None:
    store.write("key", b"")
    (entry,) = store.entries()
    assert abs(store.now() - entry.modified) < timedelta(minutes=5)


def test_a_folder_tells_the_time_by_the_clock_that_dates_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dated(dir: Path) -> BinaryIO:
        path = dir / "fresh"
        path.touch()
        os.utime(path, (2e9, 2e9))
        return path.open("rb")

    monkeypatch.setattr("tempfile.TemporaryFile", dated)
    assert open_store(str(tmp_path)).now().timestamp() == 2e9
    # Where nothing can be written this machine's clock is taken, and nothing is made.
    here = open_store(str(tmp_path / "none")).now()
    assert abs(here - datetime.now(UTC)) < timedelta(minutes=5) and not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["runs", "sweeps", "datasets"])
def test_a_stores_own_folders_may_be_links_but_nothing_below_or_beside_them(
    tmp_path: Path, name: str
) -> None:
    outside = tmp_path / "large"
    outside.mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / name).symlink_to(outside)
    (tmp_path / "store/mine").symlink_to(outside)
    store = open_store(str(tmp_path / "store"))
    store.write(f"{name}/a/x", b"ours")
    assert (outside / "a/x").read_bytes() == store.read(f"{name}/a/x", 9) == b"ours"
    assert store.folders(name) == ["a"]
    assert [entry.key for entry in store.entries(name)] == [f"{name}/a/x"]
    (outside / "b").symlink_to(tmp_path)
    for key in (f"{name}/b/x", "mine/x"):
        with pytest.raises(RefusedError, match="only the folders runs, sweeps and"):
            store.write(key, b"led out")
    store.delete([f"{name}/a/x"])
    assert (tmp_path / "store" / name).is_symlink() and not (outside / "a").exists()


def test_opening_and_listing_create_nothing(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    assert list(store.entries()) == []
    assert not (tmp_path / "store").exists()


def test_a_killed_writers_part_is_not_listed_and_can_be_discarded(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    (tmp_path / ".parts").mkdir()
    (tmp_path / ".parts" / "left").write_bytes(b"half")
    assert list(store.entries()) == []
    assert store.discard_unfinished(timedelta(hours=1)) == 0
    assert store.discard_unfinished(timedelta(seconds=-60)) == 1


def test_a_plain_path_and_its_uri_are_the_same_store(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    assert open_store(str(folder)).uri == folder.as_uri() == open_store(folder.as_uri()).uri


@pytest.mark.parametrize(
    "uri",
    [
        "",
        " ",
        "s3:",
        "s3://",
        "s3:///key",
        "s3:/bucket/key",
        "S3://bucket",
        "s3a://bucket",
        "gs://bucket",
        "http://host/bucket",
        "file:relative",
        "file://host/folder",
        "file:///a/../b",
        "s3://b",
        "s3://Bucket",
        "s3://192.168.0.1",
        "s3://bu..cket",
        "s3://bucket/../other",
        "s3://bucket//key",
        "s3://bucket/a b",
        "s3://bucket?endpoint_override=x",
        "s3://bucket/a#b",
        "s3://bucket/a\nb",
        "s3://key:secret@bucket/prefix",
        "http://key:secret@host",
    ],
)
def test_a_wrong_uri_is_one_sentence_without_secrets(uri: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(uri)
    assert "secret" not in str(caught.value)
    assert "s3://bucket/prefix" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_is_not_a_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="not a folder"):
        open_store(str(tmp_path / "file"))


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    (tmp_path / "store").write_bytes(b"in the way")
    with pytest.raises(StoreError, match="name another place"):
        store.write("key", b"")
