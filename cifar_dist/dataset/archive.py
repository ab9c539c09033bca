"""The official CIFAR-10 archive: fetched, checked against its published sums, read from memory."""

import hashlib
import io
import logging
import urllib.request
from collections.abc import Iterable, Iterator
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import IO, Any, NoReturn
from urllib.parse import urljoin, urlsplit

import numpy as np
from numpy.typing import NDArray

from cifar_dist.dataset import cache as caches
from cifar_dist.dataset.arrays import Arrays
from cifar_dist.dataset.batches import read_batch, read_class_names
from cifar_dist.dataset.files import read_file, tar_members
from cifar_dist.documents import DataOrigin
from cifar_dist.errors import DataError

log = logging.getLogger(__name__)

ARCHIVE = "cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-py"
ADDRESS = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"

# MD5, as published beside the archive; the table of torchvision.datasets.CIFAR10.
ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
TRAIN_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
}
TEST_MD5 = {"test_batch": "40351d587109b95175f43aff81a1287e"}
META_MD5 = {"batches.meta": "5ff9c542aee3614f3951f8cda6e48888"}
# The archive and the files of CIFAR-100 by the same source, to name what was taken for CIFAR-10.
_CIFAR_100_MD5 = {
    "eb9058c3a382ffc7106e4002c42a8d85",
    "16019d7e3df5f24257cddd939b257f8d",
    "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "7973b15100ade9c7d40fb424638fde48",
}
_CIFAR_100_FILES = ("train", "test", "meta")

_MAX_ARCHIVE_BYTES = 2**28  # it has 170 MB
_MAX_FILE_BYTES = 2**26  # a batch has 31 MB
_TIMEOUT_SECONDS = 60
_CHUNK_BYTES = 2**20

_COMMAND = "cifar-dist data prepare cifar10"
_REMEDY = f"run `{_COMMAND} --download`, or `{_COMMAND} --from PATH` with {ARCHIVE} or its folder"


def prepared(root: Path) -> caches.Source:
    """Give the source that was prepared in a cache; it is never fetched. Raises DataError."""
    source = _source(lambda: _unprepared(root))
    if not caches.entry(source, root).is_dir():
        _unprepared(root)
    return source


def from_path(path: Path) -> caches.Source:
    """Give the source in an archive or its unpacked folder. Raises DataError if there is none."""
    if not path.exists():
        raise DataError(f"{path} does not exist; {_REMEDY}")
    return _source(lambda: _parsed(_files(path)))


def from_address() -> caches.Source:
    """Give the source at its official address."""
    return _source(lambda: _parsed(_tar_files(_downloaded(), ADDRESS)))


def refuse_unprepared(path: Path) -> None:
    """Raise DataError for a path that is the archive itself, which must be prepared by name."""
    if path.name == ARCHIVE or (path / "data_batch_1").exists() or (path / FOLDER).is_dir():
        raise DataError(
            f"{path} is the official archive of CIFAR-10; "
            f"run `{_COMMAND} --from {path}` once, then name the data cifar10"
        )


def _source(read: caches.Reader) -> caches.Source:
    # Every copy with these sums is the same, so there can only be one entry in a cache.
    return caches.Source("cifar10", f"{TRAIN_MD5} {TEST_MD5} {META_MD5}", read)


def _unprepared(root: Path) -> NoReturn:
    raise DataError(f"data 'cifar10' is not prepared in {root}; {_REMEDY}")


def _parsed(files: dict[str, bytes]) -> Arrays:
    classes = read_class_names(files["batches.meta"], "batches.meta")
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    train, test = _split(files, TRAIN_MD5), _split(files, TEST_MD5)
    return Arrays(classes, *train, *test, DataOrigin(kind="cifar10", files=sums))


def _split(
    files: dict[str, bytes], names: Iterable[str]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    pixels, labels = zip(*(read_batch(files[name], name) for name in names), strict=True)
    return np.concatenate(pixels), np.concatenate(labels)


def _files(path: Path) -> dict[str, bytes]:
    if path.is_dir():
        return _folder_files(path)
    return _tar_files(read_file(path, _MAX_ARCHIVE_BYTES), str(path))


def _folder_files(folder: Path) -> dict[str, bytes]:
    inner = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    if all((inner / name).is_file() for name in _CIFAR_100_FILES):
        raise DataError(f"{inner} is CIFAR-100, not CIFAR-10; {_REMEDY}")
    found = {}
    for name, expected in _file_sums().items():
        if not (inner / name).exists():
            raise DataError(f"{inner} lacks {name}; {_REMEDY}")
        found[name] = _checked(read_file(inner / name, _MAX_FILE_BYTES), inner / name, expected)
    return found


def _tar_files(archive: bytes, place: str) -> dict[str, bytes]:
    # From here to the arrays only these bytes in memory are looked at: what was checked is read.
    _checked(archive, place, ARCHIVE_MD5)
    found = {}
    sums = _file_sums()
    for member, content in tar_members(io.BytesIO(archive), _MAX_FILE_BYTES, place):
        name = PurePosixPath(member).name
        if name in sums and name not in found:
            found[name] = _checked(content, f"{name} in {place}", sums[name])
    for name in sums:
        if name not in found:
            raise DataError(f"{place} lacks {name}; {_REMEDY}")
    return found


def _file_sums() -> dict[str, str]:
    return {**TRAIN_MD5, **TEST_MD5, **META_MD5}


def _checked(content: bytes, place: object, expected: str) -> bytes:
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found == expected:
        return content
    if found in _CIFAR_100_MD5:
        raise DataError(f"{place} is CIFAR-100, not CIFAR-10; {_REMEDY}")
    raise DataError(
        f"{place} is not the published one: its MD5 is {found}, expected {expected}; fetch it again"
    )


def _downloaded() -> bytes:
    log.info("downloading address=%s", ADDRESS)
    try:
        with _opened(ADDRESS) as answer:
            return b"".join(_capped(answer))
    except (OSError, HTTPException) as error:
        raise DataError(
            f"{ADDRESS} cannot be fetched ({error}); check the network and HTTPS_PROXY, or fetch "
            f"it elsewhere and run `{_COMMAND} --from PATH`"
        ) from error


def _opened(address: str) -> IO[bytes]:
    opener = urllib.request.build_opener(_SameServer)
    answer: IO[bytes] = opener.open(address, timeout=_TIMEOUT_SECONDS)
    return answer


class _SameServer(urllib.request.HTTPRedirectHandler):
    """Follows a server that sends us on only to itself."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        *facts: Any,
    ) -> urllib.request.Request | None:
        """Give the next request; raises DataError for one to another server, or unencrypted."""
        there = urljoin(req.full_url, facts[-1])
        if urlsplit(there)[:2] != urlsplit(req.full_url)[:2]:
            raise DataError(f"{req.full_url} leads to another server; use --from PATH instead")
        return super().redirect_request(req, *facts)


def _capped(answer: IO[bytes]) -> Iterator[bytes]:
    left = _MAX_ARCHIVE_BYTES
    while chunk := answer.read(_CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            raise DataError(f"{ADDRESS} sends more than {_MAX_ARCHIVE_BYTES:,} bytes; use --from")
        yield chunk
