"""Prepared sources on disk: published whole by one rename, verified at every opening."""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cifar_dist.dataset.arrays import Arrays, load
from cifar_dist.dataset.turns import turn
from cifar_dist.documents import DataOrigin
from cifar_dist.durable import flush
from cifar_dist.errors import DamagedError, DataError
from cifar_dist.problems import shown

log = logging.getLogger(__name__)

_SCHEMA = "cifar-dist/dataset/2"
_INDEX = "index.json"
_UNFINISHED = ".unfinished-"
_ABANDONED_SECONDS = 86_400  # preparing takes seconds; a day later its process is surely gone


Reader = Callable[[], Arrays]


@dataclass(frozen=True)
class Source:
    """Images whose `identity` changes whenever they may have changed."""

    kind: str
    identity: str
    read: Reader


def root(cache: Path | None) -> Path:
    """Choose the cache: as given, $CIFAR_DIST_CACHE, or the user's own. Raises DataError.

    Where the home cannot be written it lies beside the temporary files.
    """
    if cache is not None:
        return cache
    if own := os.environ.get("CIFAR_DIST_CACHE"):
        return _chosen(own)
    with contextlib.suppress(RuntimeError, OSError):  # no home, or one that is not ours to see
        shared = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cifar-dist"
        standing = next(path for path in (shared, *shared.parents) if path.exists())
        if standing == shared or os.access(standing, os.W_OK):
            return shared
    return _temporary()


def _chosen(text: str) -> Path:
    refused = DataError(f"CIFAR_DIST_CACHE={shown(text)}: cannot be a folder; correct or unset it")
    if not text.strip() or not text.isprintable() or "://" in text:
        raise refused
    try:
        path = Path(text).expanduser()
        path.exists()
    except (OSError, RuntimeError) as error:  # too long for a path, or nobody's home
        raise refused from error
    return path


def _temporary() -> Path:
    """Choose the cache of a user whose home cannot be written; nobody else may have made it."""
    path = Path(tempfile.gettempdir(), f"cifar-dist-{os.getuid()}")
    with contextlib.suppress(FileNotFoundError):
        if path.lstat().st_uid != os.getuid():
            raise DataError(f"{path} is another user's; set CIFAR_DIST_CACHE to a folder of yours")
    return path


def entry(source: Source, root: Path) -> Path:
    """Say where a source lies once prepared: named by its identity, an entry is never stale."""
    digest = hashlib.sha256(f"{_SCHEMA}\n{source.identity}".encode()).hexdigest()
    return root / f"{source.kind}-{digest[:32]}"


def fetch(source: Source, root: Path) -> Arrays:
    """Open a source's entry, preparing it where it is missing or damaged. Raises DataError.

    Of several processes that lack it, one prepares it and the others wait.
    """
    folder = entry(source, root)
    # What is wrong with a damaged one is told below, by the process that repairs it.
    with contextlib.suppress(DamagedError):
        if folder.is_dir():
            return _load(folder)
    with _turn(folder):
        try:
            if folder.is_dir():
                return _load(folder)
        except DamagedError as error:
            log.warning("%s; it is prepared again", error)
        arrays = _read(source)
        with writing(root):
            _publish(arrays, folder)
        return arrays


@contextlib.contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """Give an empty folder inside the cache, removed afterwards even if its process is killed."""
    with tempfile.TemporaryDirectory(
        prefix=_UNFINISHED, dir=root, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


@contextlib.contextmanager
def writing(root: Path) -> Iterator[None]:
    """Turn an OSError into a DataError about the cache."""
    try:
        yield
    except OSError as error:
        raise DataError(
            # numpy says only how much it could not write.
            f"the dataset cache {root} cannot be written: "
            f"{error.strerror or f'the disk takes no more, {error}'}; "
            "make room there or set CIFAR_DIST_CACHE to another folder"
        ) from error


def _read(source: Source) -> Arrays:
    try:
        return source.read()
    except OSError as error:
        raise DataError(
            f"{error.filename} cannot be read: {error.strerror}; check its permissions"
        ) from error


@contextlib.contextmanager
def _turn(folder: Path) -> Iterator[None]:
    root = folder.parent
    with contextlib.ExitStack() as stack:
        with writing(root):
            missing = [path for path in (root, *root.parents) if not path.exists()]
            root.mkdir(parents=True, exist_ok=True)
            stack.callback(_remove_empty, missing)
            stack.enter_context(turn(root / f".{folder.name}.lock"))
        yield


def _remove_empty(folders: list[Path]) -> None:
    with contextlib.suppress(OSError):  # a wrong source leaves nothing, a prepared one stays
        for folder in folders:
            folder.rmdir()


def _load(folder: Path) -> Arrays:
    try:
        index = json.loads((folder / _INDEX).read_bytes())
        arrays = load(folder, index["classes"], DataOrigin.model_validate(index["origin"]))
        intact = index == _index(arrays)
    except (OSError, ValueError, TypeError, KeyError, EOFError) as error:
        reason = str(error).partition("\n")[0]
        raise DamagedError(f"{folder} is damaged: {reason}") from error
    if not intact:
        raise DamagedError(f"{folder} is damaged: its bytes do not match their SHA-256")
    return arrays


def _publish(arrays: Arrays, folder: Path) -> None:
    root = folder.parent
    _sweep(root)
    with scratch(root) as unfinished:
        fresh, replaced = unfinished / "fresh", unfinished / "replaced"
        fresh.mkdir()
        _write(arrays, fresh)
        # Whatever lies there is damaged, or equal and just published by another process, whose
        # open files outlive the move.
        with contextlib.suppress(FileNotFoundError):
            folder.rename(replaced)
        with contextlib.suppress(OSError):
            fresh.rename(folder)
        flush(root)


def _write(arrays: Arrays, folder: Path) -> None:
    for path in arrays.save(folder):
        flush(path)
    (folder / _INDEX).write_text(json.dumps(_index(arrays), indent=2))
    flush(folder / _INDEX)
    flush(folder)


def _index(arrays: Arrays) -> dict[str, object]:
    index = {
        "schema": _SCHEMA,
        "classes": list(arrays.classes),
        "sha256": arrays.sha256,
        "arrays": arrays.digests,
        "origin": arrays.origin.model_dump(),
    }
    seal = hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()
    return {**index, "seal": seal}


def _sweep(root: Path) -> None:
    for leftover in root.glob(f"{_UNFINISHED}*"):
        with contextlib.suppress(FileNotFoundError):  # its own process was faster
            if time.time() - leftover.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(leftover, ignore_errors=True)
