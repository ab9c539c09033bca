"""Figures as files of a folder: nothing is overwritten, and what was written is listed."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_dist.cli.output import check_free
from cifar_dist.problems import legible

if TYPE_CHECKING:
    from cifar_dist.documents import ArtifactsDocument


def check_folder(folder: Path, names: Iterable[str], flag: str = "--output") -> None:
    """Raise RefusedError if a file to be written exists, ConfigError without the folder's own."""
    if not folder.exists():
        check_free(folder, flag)
        return
    for name in names:
        check_free(folder / name, flag)


def write_files(folder: Path, files: Mapping[str, bytes]) -> "ArtifactsDocument":
    """Write files into a folder, making it if need be. Raises StoreError."""
    from cifar_dist.documents import ArtifactRow, ArtifactsDocument
    from cifar_dist.store.disk import reported

    rows = []
    with reported(str(folder)):
        folder.mkdir(exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
            digest = hashlib.sha256(data).hexdigest()
            rows.append(ArtifactRow(key=name, bytes=len(data), sha256=digest))
    return ArtifactsDocument(store=legible(folder.absolute()), artifacts=rows)
