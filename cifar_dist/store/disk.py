"""Bytes on this machine's disk: hashed while copied, whole files only, failures as sentences."""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cifar_dist.errors import DamagedError, StoreError
from cifar_dist.store.contract import Content

CHUNK_BYTES = 1 << 20
TEMPORARY = "the folder for temporary files (TMPDIR)"


@contextmanager
def reported(place: str) -> Iterator[None]:
    """Turn an OSError into a StoreError that names the place."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot use {place}: {error.strerror or type(error).__name__}; "
            "check its permissions and free space, or name another place"
        ) from error


@contextmanager
def scratch() -> Iterator[Path]:
    """Give an empty folder that goes with the block; any OSError in it becomes a StoreError."""
    with (
        reported(TEMPORARY),
        # After another rank's error a thread of this one may still write there.
        tempfile.TemporaryDirectory(prefix="cifar-dist-", ignore_cleanup_errors=True) as folder,
    ):
        yield Path(folder)


def check_room(folder: Path, size: int) -> None:
    """Raise StoreError unless the disk of a folder, which may not exist yet, has `size` bytes."""
    place = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(place).free
    if free < size:
        raise StoreError(
            f"cannot use {folder}: No space left on device, {free / 1e6:,.1f} MB free and "
            f"{size / 1e6:,.1f} MB needed; make room, or name another place"
        )


def chunks(path: Path, size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Read a file piece by piece, `size` bytes at a time."""
    with path.open("rb") as file:
        while chunk := file.read(size):
            yield chunk


def copy(
    source: Iterable[bytes], write: Callable[[bytes], object], limit: int = sys.maxsize
) -> Content:
    """Pass bytes on and say what they were; stops soon after `limit` bytes."""
    size, digest = 0, hashlib.sha256()
    for chunk in source:
        write(chunk)
        digest.update(chunk)
        size += len(chunk)
        if size > limit:
            break
    return Content(size, digest.hexdigest())


def write_through(path: Path, source: Iterable[bytes], limit: int = sys.maxsize) -> Content:
    """Write a new file and wait until the disk has it."""
    with path.open("xb") as file:
        content = copy(source, file.write, limit)
        file.flush()
        os.fsync(file.fileno())
    return content


def save(path: Path, source: Iterable[bytes], expected: Content, name: str) -> None:
    """Let a file appear only if its bytes are the expected ones. Raises DamagedError."""
    part = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    part.unlink(missing_ok=True)
    check_room(path.parent, expected.bytes)
    try:
        found = write_through(part, source, expected.bytes)
        if found != expected:
            raise DamagedError(
                f"{name} is damaged: its bytes are not those recorded "
                f"({expected.bytes:,} bytes, SHA-256 {expected.sha256[:12]}…); "
                "restore the object from a backup, or use another one"
            )
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def oversized(name: str, limit: int) -> DamagedError:
    """Say that an object is larger than anything written there on purpose."""
    return DamagedError(
        f"{name} is larger than {limit:,} bytes, so it is not what was written; move it away"
    )
