"""The contract that every store keeps: keys written once, bytes hashed on their way in and out."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from cifar_dist.config import S3
from cifar_dist.errors import DamagedError, RefusedError, StoreError

T = TypeVar("T")
log = logging.getLogger(__name__)

_READINGS = 5


class MissingError(StoreError):
    """There is no object under this key."""


class Content(NamedTuple):
    """What an object holds, named by its hash."""

    bytes: int
    sha256: str


class Entry(NamedTuple):
    """One listed object; `modified` is the storage's own clock, in UTC."""

    key: str
    bytes: int
    modified: datetime


class Store(ABC):
    """Objects under plain keys, each written once, whole or not at all; safe to share by threads.

    Every method raises StoreError while the storage is out of reach or refuses access. What is
    written can be read at once, by everyone. Bytes are trusted only by their hash: what `read`
    gives may have been bent on its way, and `parsed`, `holds` and `download` say when it was.
    """

    uri: str
    s3: S3
    """How this process reaches it, complete for any other process but for credentials."""

    @property
    def address(self) -> dict[str, Any]:
        """Give what a job says to reach this store from any process."""
        return {"store": self.uri}

    def write(self, key: str, data: bytes) -> None:
        """Create an object; the same bytes again are fine, others raise RefusedError."""
        if not self.claim(key, data):
            raise self.taken(key)

    def taken(self, key: str) -> RefusedError:
        """Say that an object exists with other bytes."""
        return RefusedError(
            f"{key} in {self.uri} was written by another process with other content, and nothing "
            "is ever overwritten; resume the run, or start another one with --fresh"
        )

    def parsed(self, key: str, limit: int, parse: Callable[[bytes], T]) -> T:
        """Read a small object; `parse` raises DamagedError for bytes that are not what was written.

        Those are read again, a few times in all. Raises MissingError, DamagedError.
        """
        return reread(lambda: parse(self.read(key, limit)))

    def holds(self, key: str, expected: Content) -> bool:
        """Tell whether an object has these bytes; others are read a few times. MissingError."""
        return any(self.digest(key) == expected for _ in range(_READINGS))

    @abstractmethod
    def claim(self, key: str, data: bytes) -> bool:
        """Create an object unless it exists; True if it now holds exactly these bytes."""

    @abstractmethod
    def upload(self, key: str, path: Path) -> Content:
        """Create an object from a file and say what was sent; raises RefusedError like `write`."""

    @abstractmethod
    def read(self, key: str, limit: int) -> bytes:
        """Give a small object. Raises MissingError, and DamagedError above `limit` bytes."""

    @abstractmethod
    def digest(self, key: str) -> Content:
        """Read an object through and say what it holds. Raises MissingError."""

    @abstractmethod
    def download(self, key: str, path: Path, expected: Content) -> None:
        """Fetch into a file that appears only once verified. Raises MissingError, DamagedError."""

    @abstractmethod
    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """List the objects below a folder, in key order; a missing folder is empty.

        A listing is a hint. It may miss what is written or show what is deleted while it is made,
        on some servers a little longer, and unlike an object's its bytes have no hash: whoever acts
        on it must read what it names, claim the next name, or look again. Keys that are not plain
        belong to somebody else and are left out.
        """

    @abstractmethod
    def folders(self, prefix: str) -> list[str]:
        """List the names of the folders directly below a folder, sorted; a hint like `entries`."""

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, in any order; those already gone are fine."""

    @abstractmethod
    def now(self) -> datetime:
        """Tell the time by the clock that dates what is listed, in UTC."""

    @abstractmethod
    def unfinished(self, older_than: timedelta, folders: Collection[str] = ()) -> int:
        """Count what killed writers left half-written below folders, or anywhere in the store."""

    @abstractmethod
    def discard_unfinished(self, older_than: timedelta, folders: Collection[str] = ()) -> int:
        """Remove what killed writers left half-written below folders, or anywhere; counts it.

        A store in a folder knows not where it was to lie, and counts and removes all of it.
        """


def reread(read: Callable[[], T]) -> T:
    """Repeat a reading whose bytes came damaged, a few times; raises the last DamagedError.

    What the network bent comes straight another time.
    """
    for _ in range(_READINGS - 1):
        try:
            return read()
        except DamagedError as error:
            log.warning("reading again reason=%s", error)
    return read()
