"""The names and paths that a job may give as data, and how each becomes arrays."""

import hashlib
from dataclasses import replace
from pathlib import Path

from cifar_dist.config import S3
from cifar_dist.dataset import archive, files, synthetic
from cifar_dist.dataset import cache as caches
from cifar_dist.dataset.arrays import Arrays
from cifar_dist.dataset.cache import Source
from cifar_dist.dataset.images import decode
from cifar_dist.errors import DataError
from cifar_dist.problems import nearest, shown

NAMES = ("cifar10", "sample", "synthetic")

# 10,000 training and 2,000 test images of CIFAR-10, chosen by deploy/make_sample.py.
SAMPLE = Path(__file__).with_name("sample.tar.xz")


def find(name: str, cache: Path | None = None, s3: S3 | None = None) -> Source:
    """Find a source by its name, path or address in a store, reached by `s3`. Raises DataError."""
    if name == "sample":
        return _tar(SAMPLE, name)
    if name == "synthetic":
        return Source(name, synthetic.IDENTITY, synthetic.generate)
    if name == "cifar10":
        return archive.prepared(caches.root(cache))
    if "://" in name:
        return _published(name, cache, s3)
    try:
        return _at(Path(name), name)
    except OSError as error:
        raise DataError(
            f"data {shown(name)} cannot be read: {error.strerror}; check its path and permissions"
        ) from error


def _published(address: str, cache: Path | None, s3: S3 | None) -> Source:
    from cifar_dist.dataset import published  # its checks take a moment to build

    return published.find(address, caches.root(cache), s3)


def _at(path: Path, name: str) -> Source:
    archive.refuse_unprepared(path)
    if path.is_dir():
        listing = files.folder_listing(path)
        return Source("folder", listing, lambda: decode(files.read_folder(path), name))
    if path.is_file():
        return _tar(path, "tar")
    raise DataError(
        f"data {shown(name)} is neither a known source nor an existing folder or tar file; "
        f"{nearest(name, NAMES)}"
    )


def _tar(path: Path, kind: str) -> Source:
    # Its bytes, not its date: copying or touching an archive must not prepare it again, and
    # hashing takes a tenth of a second for the whole of CIFAR-10.
    with path.open("rb") as file:
        identity = hashlib.file_digest(file, "sha256").hexdigest()

    def read() -> Arrays:
        arrays = decode(files.read_tar(path), str(path))
        facts = {"kind": kind, "files": {path.name: identity}}
        return replace(arrays, origin=arrays.origin.model_copy(update=facts))

    return Source(kind, identity, read)
