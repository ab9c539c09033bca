"""A disk without room is told of before it is filled, and never left with a part of a file."""

import errno
import os
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest

from cifar_dist.errors import StoreError
from cifar_dist.store import Content, Store, open_store
from cifar_dist.store.disk import check_room

DATA = b"twelve bytes"
EXPECTED = Content(len(DATA), sha256(DATA).hexdigest())


class Usage(NamedTuple):
    """What a disk says of itself."""

    total: int
    used: int
    free: int


@pytest.fixture
def nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave one byte less than a file needs."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(100, 89, 11))


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk become full while it is written."""

    def refuse(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", refuse)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("disk", ["nearly_full", "full"])
def test_a_disk_without_room_gets_nothing_of_an_object(
    request: pytest.FixtureRequest, tmp_path: Path, disk: str
) -> None:
    (tmp_path / "file").write_bytes(DATA)
    store = open_store(str(tmp_path / "store"))
    request.getfixturevalue(disk)
    for write in (
        lambda: store.write("key", DATA),
        lambda: store.upload("key", tmp_path / "file"),
    ):
        with pytest.raises(StoreError, match=r"No space left on device") as caught:
            write()
        assert "\n" not in str(caught.value)
    assert files(tmp_path / "store") == []


@pytest.mark.parametrize("disk", ["nearly_full", "full"])
def test_a_disk_without_room_gets_nothing_of_a_download(
    request: pytest.FixtureRequest, store: Store, tmp_path: Path, disk: str
) -> None:
    store.write("key", DATA)
    request.getfixturevalue(disk)
    with pytest.raises(StoreError, match=r"No space left on device"):
        store.download("key", tmp_path / "target" / "file", EXPECTED)
    assert files(tmp_path / "target") == []


@pytest.mark.usefixtures("nearly_full")
def test_the_room_that_is_needed_is_said_in_one_sentence(tmp_path: Path) -> None:
    check_room(tmp_path / "not" / "there" / "yet", 11)
    with pytest.raises(StoreError) as caught:
        check_room(tmp_path / "not" / "there" / "yet", 2_000_000)
    assert str(caught.value) == (
        f"cannot use {tmp_path}/not/there/yet: No space left on device, 0.0 MB free and 2.0 MB "
        "needed; make room, or name another place"
    )
    assert caught.value.exit_code == 4


def test_an_older_file_survives_a_disk_that_becomes_full(
    request: pytest.FixtureRequest, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"older")
    store.write("key", DATA)
    request.getfixturevalue("full")
    with pytest.raises(StoreError):
        store.download("key", tmp_path / "file", EXPECTED)
    assert (tmp_path / "file").read_bytes() == b"older"
