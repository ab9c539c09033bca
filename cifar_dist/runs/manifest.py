"""The manifest: written last, it makes uploaded files a checkpoint or a report."""

import math
import re
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cifar_dist.errors import DamagedError
from cifar_dist.runs.seal import sealed, unsealed
from cifar_dist.store import Content, Store, is_key, safe_join

NAME = "MANIFEST.json"
_SCHEMA = "cifar-dist/manifest/1"
_MAX_BYTES, _MAX_FILES = 2**20, 10_000
_MAX_FILE_BYTES = 10 * 2**30
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHECKPOINT = re.compile(r"/attempts/(\d{6})/step-(\d{12})$")


@dataclass(frozen=True)
class Manifest:
    """The verified contents of one folder in a store, and for a checkpoint where training stood."""

    folder: str
    files: dict[str, Content]
    attempt: int = 0
    step: int = 0
    epoch: int = 0
    """Finished epochs."""
    world_size: int = 0
    metrics: dict[str, float | None] = field(default_factory=dict)
    nonce: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def key(self) -> str:
        """The key whose existence commits the folder."""
        return f"{self.folder}/{NAME}"

    def write(self, store: Store) -> None:
        """Commit; raises RefusedError if another manifest is there."""
        finite = {name: _finite(value) for name, value in self.metrics.items()}
        document = {**asdict(self), "schema": _SCHEMA, "metrics": finite}
        document["files"] = {name: content._asdict() for name, content in self.files.items()}
        store.write(self.key, sealed(document))

    def download(self, store: Store, folder: Path) -> None:
        """Fetch every file, verified, into a local folder. Raises MissingError, DamagedError."""
        for name, content in self.files.items():
            store.download(f"{self.folder}/{name}", safe_join(folder, name), content)


def read_manifest(store: Store, key: str) -> Manifest:
    """Read a manifest back, again if it came damaged. Raises MissingError, DamagedError."""
    return store.parsed(key, _MAX_BYTES, lambda data: _manifest(data, store, key))


def glance(store: Store, key: str) -> Manifest | None:
    """Read a manifest once; None if it came damaged, which another reading may disprove.

    Raises MissingError.
    """
    try:
        return _manifest(store.read(key, _MAX_BYTES), store, key)
    except DamagedError:
        return None


def _manifest(data: bytes, store: Store, key: str) -> Manifest:
    name = f"{key} in {store.uri}"
    document = unsealed(data, name)
    files = described(document, name)
    fields = {**document, "files": files}
    del fields["schema"]
    try:
        manifest = Manifest(**fields)
    except TypeError as error:
        raise _other(name) from error
    if manifest.folder != key.removesuffix(f"/{NAME}") or not _stands_where_it_says(manifest):
        raise _other(name)
    return manifest


def described(document: dict[str, Any], name: str) -> dict[str, Content]:
    """Give the files that a manifest's document describes, checked. Raises DamagedError."""
    try:
        known = document["schema"] == _SCHEMA
        files = {file: Content(**content) for file, content in document["files"].items()}
        sane = all(is_key(file) and _is_sane(content) for file, content in files.items())
    except (KeyError, TypeError, AttributeError):
        known = sane = False
    if not (known and sane) or NAME in files or len(files) > _MAX_FILES:
        raise _other(name)
    return files


def _is_sane(content: Content) -> bool:
    size, digest = content
    return type(size) is int and 0 <= size <= _MAX_FILE_BYTES and bool(_SHA256.fullmatch(digest))


def _stands_where_it_says(manifest: Manifest) -> bool:
    """Tell whether a checkpoint's numbers are those of its folder; others have none."""
    place = _CHECKPOINT.search(manifest.folder)
    stated = (manifest.attempt, manifest.step)
    return place is None or stated == (int(place[1]), int(place[2]))


def _other(name: str) -> DamagedError:
    return DamagedError(
        f"{name} is no {_SCHEMA} of its own folder; it was moved there or comes "
        "from another version of this program"
    )


def upload_folder(store: Store, source: Path, target: str) -> dict[str, Content]:
    """Upload every file of a local folder; gives what was sent under each relative name."""
    names = sorted(
        path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()
    )
    return {name: store.upload(f"{target}/{name}", source / name) for name in names}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
