"""The contract that every store keeps: keys written once, bytes hashed on their way in and out."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cifar_dist.errors import RefusedError, StoreError


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

    Every method raises StoreError while the storage is out of reach or refuses access.
    """

    uri: str

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
        """List the objects below a folder, in key order; a missing folder is empty."""

    @abstractmethod
    def folders(self, prefix: str) -> list[str]:
        """List the names of the folders directly below a folder, sorted."""

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, in any order; those already gone are fine."""

    @abstractmethod
    def discard_unfinished(self, older_than: timedelta) -> int:
        """Remove what killed writers left half-written; gives how many there were."""
