"""Prepared sources on disk: published whole by one rename, verified at every opening."""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cifar_dist.dataset.arrays import ARRAYS, Arrays
from cifar_dist.dataset.sources import Source
from cifar_dist.errors import DamagedError, DataError

log = logging.getLogger(__name__)

_SCHEMA = "cifar-dist/dataset/1"
_INDEX = "index.json"
_UNFINISHED = ".unfinished-"
_ABANDONED_SECONDS = 86_400  # preparing takes seconds; a day later its process is surely gone


def root(cache: Path | None) -> Path:
    """Choose the cache: as given, $CIFAR_DIST_CACHE or the user's own. Raises DataError."""
    if cache is not None:
        return cache
    if own := os.environ.get("CIFAR_DIST_CACHE"):
        return Path(own)
    try:
        shared = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as error:
        raise DataError("no home folder for the dataset cache; set CIFAR_DIST_CACHE") from error
    return Path(shared) / "cifar-dist"


def entry(source: Source, root: Path) -> Path:
    """Say where a source lies once prepared: named by its identity, an entry is never stale."""
    digest = hashlib.sha256(f"{_SCHEMA}\n{source.identity}".encode()).hexdigest()
    return root / f"{source.kind}-{digest[:32]}"


def fetch(source: Source, root: Path) -> Arrays:
    """Open a source's entry, preparing it where it is missing or damaged. Raises DataError."""
    folder = entry(source, root)
    try:
        if folder.is_dir():
            return _load(folder)
    except DamagedError as error:
        log.warning("%s; it is prepared again", error)
    arrays = source.read()
    with _writing(root):
        _publish(arrays, folder)
    return arrays


def _load(folder: Path) -> Arrays:
    try:
        index = json.loads((folder / _INDEX).read_bytes())
        arrays = Arrays(tuple(index["classes"]), *(_mapped(folder, name) for name in ARRAYS))
        intact = index == _index(arrays)
    except (OSError, ValueError, TypeError, KeyError, EOFError) as error:
        raise DamagedError(f"{folder} is damaged: {error}") from error
    if not intact:
        raise DamagedError(f"{folder} is damaged: its bytes do not match their SHA-256")
    return arrays


def _mapped(folder: Path, name: str) -> Any:
    # Copy on write: torch wants writable memory, and nothing may write to the cache.
    return np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False)


@contextlib.contextmanager
def _writing(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"the dataset cache {root} cannot be written: {error.strerror}; "
            "make room there or set CIFAR_DIST_CACHE to another folder"
        ) from error


def _publish(arrays: Arrays, folder: Path) -> None:
    root = folder.parent
    root.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    with tempfile.TemporaryDirectory(
        prefix=_UNFINISHED, dir=root, ignore_cleanup_errors=True
    ) as scratch:
        fresh, replaced = Path(scratch, "fresh"), Path(scratch, "replaced")
        fresh.mkdir()
        _write(arrays, fresh)
        # Whatever lies there is damaged, or equal and just published by another process, whose
        # open files outlive the move.
        with contextlib.suppress(FileNotFoundError):
            folder.rename(replaced)
        with contextlib.suppress(OSError):
            fresh.rename(folder)
        _flush(root)


def _write(arrays: Arrays, folder: Path) -> None:
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(arrays, name), allow_pickle=False)
        _flush(folder / f"{name}.npy")
    (folder / _INDEX).write_text(json.dumps(_index(arrays), indent=2))
    _flush(folder / _INDEX)
    _flush(folder)


def _index(arrays: Arrays) -> dict[str, object]:
    return {
        "schema": _SCHEMA,
        "classes": list(arrays.classes),
        "sha256": arrays.sha256,
        "arrays": arrays.digests,
    }


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(root: Path) -> None:
    for leftover in root.glob(f"{_UNFINISHED}*"):
        with contextlib.suppress(FileNotFoundError):  # its own process was faster
            if time.time() - leftover.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(leftover, ignore_errors=True)
