"""The names and paths that a job may give as data, and how each becomes arrays."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cifar_dist.dataset import files, synthetic
from cifar_dist.dataset.arrays import Arrays
from cifar_dist.dataset.images import decode
from cifar_dist.errors import DataError
from cifar_dist.problems import nearest, shown

# 10,000 training and 2,000 test images of CIFAR-10, chosen by deploy/make_sample.py.
SAMPLE = Path(__file__).with_name("sample.tar.xz")


@dataclass(frozen=True)
class Source:
    """Images whose `identity` changes whenever they may have changed."""

    kind: str
    identity: str
    read: Callable[[], Arrays]


def find(name: str) -> Source:
    """Find a source by its name or path. Raises DataError."""
    if name == "sample":
        return _tar(SAMPLE, name)
    if name == "synthetic":
        return Source(name, synthetic.IDENTITY, synthetic.generate)
    path = Path(name)
    try:
        if path.is_dir():
            listing = files.folder_listing(path)
            return Source("folder", listing, lambda: decode(files.read_folder(path), name))
        if path.is_file():
            return _tar(path, "tar")
    except OSError as error:
        raise DataError(
            f"data {shown(name)} cannot be read: {error.strerror}; check its path and permissions"
        ) from error
    raise DataError(
        f"data {shown(name)} is neither a known source nor an existing folder or tar file; "
        f"{nearest(name, ('sample', 'synthetic'))}"
    )


def _tar(path: Path, kind: str) -> Source:
    # Its bytes, not its date: copying or touching an archive must not prepare it again, and
    # hashing takes a tenth of a second for the whole of CIFAR-10.
    with path.open("rb") as file:
        identity = hashlib.file_digest(file, "sha256").hexdigest()
    return Source(kind, identity, lambda: decode(files.read_tar(path), str(path)))
