"""The manifest: written last, it makes uploaded files a checkpoint or a report."""

import math
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cifar_dist.errors import DamagedError
from cifar_dist.runs.seal import read_sealed, sealed
from cifar_dist.store import Content, Store, is_key

NAME = "MANIFEST.json"
_SCHEMA = "cifar-dist/manifest/1"


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
            store.download(f"{self.folder}/{name}", folder / name, content)


def read_manifest(store: Store, key: str) -> Manifest:
    """Read a manifest back. Raises MissingError, DamagedError."""
    document = read_sealed(store, key)
    folder = key.removesuffix(f"/{NAME}")
    try:
        known = document.pop("schema") == _SCHEMA and document["folder"] == folder
        files = {name: Content(**content) for name, content in document.pop("files").items()}
        manifest = Manifest(files=files, **document)
    except (KeyError, TypeError, AttributeError):
        known = False
    if not known or not all(map(is_key, files)):
        raise DamagedError(
            f"{key} in {store.uri} is no {_SCHEMA} of its own folder; it was moved there or comes "
            "from another version of this program"
        )
    return manifest


def upload_folder(store: Store, source: Path, target: str) -> dict[str, Content]:
    """Upload every file of a local folder; gives what was sent under each relative name."""
    names = sorted(
        path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()
    )
    return {name: store.upload(f"{target}/{name}", source / name) for name in names}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
