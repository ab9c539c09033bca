"""Bytes bent between storage and here are read again; bytes bent in storage are never trusted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.errors import DamagedError
from cifar_dist.runs.seal import read_sealed, sealed
from cifar_dist.store import Content, Store
from cifar_dist.store.contract import reread

DOCUMENT = {"schema": "cifar-dist/test/1", "value": 7}
Bend = Callable[[Store, str, int], None]


@pytest.fixture
def bend(monkeypatch: pytest.MonkeyPatch) -> Bend:
    """Bend what one method of a store gives, the first times."""

    def begin(store: Store, method: str, times: int) -> None:
        straight, left = getattr(store, method), [None] * times

        def bent(*arguments: Any) -> Any:
            found = straight(*arguments)
            if not left:
                return found
            left.pop()
            if isinstance(found, Content):
                return found._replace(sha256="0" * 64)
            return found[:-4] + bytes([found[-4] ^ 1]) + found[-3:]

        monkeypatch.setattr(store, method, bent)

    return begin


@pytest.mark.parametrize("times", [1, 2])
def test_a_sealed_document_that_came_bent_is_read_again(
    store: Store, bend: Bend, times: int
) -> None:
    store.write("key", sealed(DOCUMENT))
    bend(store, "read", times)
    assert read_sealed(store, "key") == DOCUMENT


def test_a_sealed_document_that_stays_bent_is_damaged(store: Store, bend: Bend) -> None:
    store.write("key", sealed(DOCUMENT))
    bend(store, "read", 5)
    with pytest.raises(DamagedError, match=r"key in .* is damaged"):
        read_sealed(store, "key")


@pytest.mark.parametrize("times", [1, 2])
def test_an_object_that_was_read_back_bent_is_still_ours(
    store: Store, bend: Bend, tmp_path: Path, times: int
) -> None:
    (tmp_path / "file").write_bytes(b"ours")
    store.write("key", b"ours")
    for again in (
        lambda: store.claim("key", b"ours"),
        lambda: store.upload("key", tmp_path / "file"),
        lambda: store.holds("key", store.upload("other", tmp_path / "file")),
    ):
        bend(store, "digest", times)
        assert again()


def test_what_is_somebody_elses_stays_so_however_often_it_is_read(store: Store) -> None:
    store.write("key", b"theirs")
    assert not store.claim("key", b"ours")
    assert not store.holds("key", Content(4, "0" * 64))


def test_a_reading_is_repeated_a_few_times() -> None:
    count = 0

    def read() -> None:
        nonlocal count
        count += 1
        raise DamagedError("bent")

    with pytest.raises(DamagedError):
        reread(read)
    assert count == 5
