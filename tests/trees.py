"""A CIFAR-like tree of image files, thirty in all, and ways to write it down."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from cifar_dist.dataset.arrays import CLASSES

Mode = Literal["w", "w:xz", "w:gz"]
_MODES: dict[str, Mode] = {".tar": "w", ".xz": "w:xz", ".gz": "w:gz"}


def picture(
    seed: int = 0, mode: str = "RGB", size: tuple[int, int] = (32, 32), kind: str = "PNG"
) -> bytes:
    """Encode a random picture."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind)
    return file.getvalue()


def _tree() -> dict[str, bytes]:
    paths = [f"train/{name}/{i}.jpg" for name in CLASSES for i in range(2)]
    paths += [f"test/{name}/0.jpg" for name in CLASSES]
    return {path: picture(seed, kind="JPEG") for seed, path in enumerate(sorted(paths))}


TREE = _tree()


def write_tree(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files under a folder."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def write_tar(path: Path, files: Mapping[str, bytes], *special: tarfile.TarInfo) -> Path:
    """Write special members, then files, into an archive packed as its suffix says."""
    with tarfile.open(path, _MODES[path.suffix]) as archive:
        for member in special:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path
