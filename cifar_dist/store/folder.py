"""A store in a folder of this machine's disk."""

import os
import tempfile
import time
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cifar_dist.config import S3
from cifar_dist.durable import flush
from cifar_dist.store.addresses import is_key, stored_path
from cifar_dist.store.contract import Content, Entry, MissingError, Store, reread
from cifar_dist.store.disk import (
    check_room,
    chunks,
    copy,
    oversized,
    reported,
    save,
    write_through,
)

_PARTS = ".parts"  # no key starts with a dot, so nothing unfinished is ever listed


class FolderStore(Store):
    """An object is a file that appears by a hard link, which only one writer can make."""

    def __init__(self, root: Path, s3: S3) -> None:
        self._root = root
        self.uri = root.as_uri()
        self.s3 = s3

    def claim(self, key: str, data: bytes) -> bool:
        """Create an object unless it exists; True if it now holds exactly these bytes."""
        return self._create(key, [data], len(data))[0]

    def upload(self, key: str, path: Path) -> Content:
        """Create an object from a file and say what was sent; raises RefusedError."""
        with reported(str(path)):
            size = path.stat().st_size
        ours, content = self._create(key, chunks(path), size)
        if not ours:
            raise self.taken(key)
        return content

    def read(self, key: str, limit: int) -> bytes:
        """Give a small object. Raises MissingError, and DamagedError above `limit` bytes."""
        with self._existing(key) as path, path.open("rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise oversized(f"{key} in {self.uri}", limit)
        return data

    def digest(self, key: str) -> Content:
        """Read an object through and say what it holds. Raises MissingError."""
        with self._existing(key) as path:
            return copy(chunks(path), len)

    def download(self, key: str, path: Path, expected: Content) -> None:
        """Fetch into a file that appears only once verified. Raises MissingError, DamagedError."""
        name = f"{key} in {self.uri}"
        with self._existing(key) as source:
            reread(lambda: save(path, chunks(source), expected, name))

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """List the objects below a folder, in key order; a missing folder is empty."""
        top = self._path(prefix) if prefix else self._root
        with reported(self.uri):
            files = [Path(folder, name) for folder, _, names in _walk(top) for name in names]
        keys = (path.relative_to(self._root).as_posix() for path in files)
        for key in sorted(filter(is_key, keys)):
            with reported(self.uri), suppress(FileNotFoundError):  # deleted meanwhile
                facts = (self._root / key).stat()
                yield Entry(key, facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC))

    def folders(self, prefix: str) -> list[str]:
        """List the names of the folders directly below a folder, sorted."""
        with reported(self.uri):
            _, names, _ = next(_walk(self._path(prefix)), ("", [], []))
        return sorted(filter(is_key, names))

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, in any order; those already gone are fine."""
        with reported(self.uri):
            for key in keys:
                path = self._path(key)
                path.unlink(missing_ok=True)
                self._remove_empty(path.parent)

    def now(self) -> datetime:
        """Tell the time by the disk's clock, in UTC; by this machine's if nothing can be written.

        A disk in the network dates its files itself.
        """
        with suppress(OSError), tempfile.TemporaryFile(dir=self._root) as file:
            return datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
        return datetime.now(UTC)

    def unfinished(self, older_than: timedelta, folders: Collection[str] = ()) -> int:
        """Count what killed writers left half-written, wherever it was to lie."""
        return len(self._old_parts(older_than))

    def discard_unfinished(self, older_than: timedelta, folders: Collection[str] = ()) -> int:
        """Remove what killed writers left half-written; gives how many there were."""
        parts = self._old_parts(older_than)
        with reported(self.uri):
            for path in parts:
                path.unlink(missing_ok=True)
        return len(parts)

    def _old_parts(self, older_than: timedelta) -> list[Path]:
        oldest, found = time.time() - older_than.total_seconds(), []
        with reported(self.uri):
            for path in (self._root / _PARTS).glob("*"):
                with suppress(FileNotFoundError):  # completed meanwhile
                    if path.stat().st_mtime < oldest:
                        found.append(path)
        return found

    def _path(self, key: str) -> Path:
        return stored_path(self._root, key)

    def _create(self, key: str, source: Iterable[bytes], size: int) -> tuple[bool, Content]:
        path, part = self._path(key), self._root / _PARTS / uuid.uuid4().hex
        with reported(f"{key} in {self.uri}"):
            part.parent.mkdir(parents=True, exist_ok=True)
            check_room(part.parent, size)
            try:
                content = write_through(part, source)
                created = _link(part, path)
            finally:
                part.unlink(missing_ok=True)
        return created or self.holds(key, content), content

    @contextmanager
    def _existing(self, key: str) -> Iterator[Path]:
        with reported(f"{key} in {self.uri}"):
            try:
                yield self._path(key)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                raise MissingError(
                    f"there is no {key} in {self.uri}; list what is there first"
                ) from error

    def _remove_empty(self, folder: Path) -> None:
        with suppress(OSError):  # not empty, or not any more
            while folder != self._root:
                folder.rmdir()
                folder = folder.parent


def _walk(top: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    def passed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # a folder may be deleted meanwhile
            raise error

    for folder, folders, files in os.walk(top, onerror=passed):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield folder, folders, [name for name in files if not name.startswith(".")]


def _link(part: Path, path: Path) -> bool:
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(part, path)
        except FileExistsError:
            return False
        except FileNotFoundError:
            continue  # a delete removed the folder, empty until now, in between
        flush(path.parent)
        return True
