"""The official archive's layout, written as Python 2 wrote it: protocol 2, strings of bytes."""

import gzip
import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_dist.dataset import archive
from cifar_dist.dataset.arrays import CLASSES, Arrays
from tests.trees import write_tar, write_tree

RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"


def pickled(value: object) -> bytes:
    """Pickle dictionaries, lists, tuples, whole numbers, bytes and arrays of uint8."""
    return b"\x80\x02" + item(value) + b"."


def item(value: object) -> bytes:
    """Write one value as opcodes."""
    if isinstance(value, dict):
        pairs = b"".join(item(key) + item(content) for key, content in value.items())
        return b"}(" + pairs + b"u"
    if isinstance(value, list | tuple):
        start, end = (b"](", b"e") if isinstance(value, list) else (b"(", b"t")
        return start + b"".join(map(item, value)) + end
    if isinstance(value, bytes):
        short = len(value) < 256
        return struct.pack("<cB" if short else "<ci", b"U" if short else b"T", len(value)) + value
    if isinstance(value, np.ndarray):
        return array(value.shape, value.tobytes())
    if isinstance(value, int):
        return struct.pack("<ci", b"J", value)
    return b"G" + struct.pack(">d", value)


def array(
    shape: tuple[int, ...], content: bytes, code: bytes = b"u1", in_columns: bool = False
) -> bytes:
    """Write an array as numpy does: an empty one, then its state."""
    kind = b"cnumpy\ndtype\n" + item((code, 0, 1)) + b"R(" + item(3) + item(b"|") + b"NNN"
    kind += item(-1) + item(-1) + item(0) + b"tb"
    order = b"\x88" if in_columns else b"\x89"
    state = b"(" + item(1) + item(shape) + kind + order + item(content) + b"t"
    return RECONSTRUCT + b"cnumpy\nndarray\n" + item((0,)) + item(b"b") + b"\x87R" + state + b"b"


def batch(**changes: Any) -> bytes:
    """Pickle a batch of two images, with some of its entries changed or, as None, left out."""
    pixels = np.arange(2 * 3072, dtype=np.uint64).astype(np.uint8).reshape(2, 3072)
    entries: dict[str, Any] = {
        "batch_label": b"training batch 1 of 5",
        "labels": [3, 8],
        "data": pixels,
        "filenames": [b"tabby_s_000001.png", b"ship_s_000002.png"],
    }
    entries.update(changes)
    return pickled({key.encode(): value for key, value in entries.items() if value is not None})


META = pickled(
    {
        b"num_cases_per_batch": 10000,
        b"label_names": [name.encode() for name in CLASSES],
        b"num_vis": 3072,
    }
)


def batches(arrays: Arrays) -> dict[str, bytes]:
    """Write arrays as the seven files of the archive, the training images in five equal parts."""
    parts = zip(
        archive.TRAIN_MD5,
        np.array_split(arrays.train_pixels, 5),
        np.array_split(arrays.train_labels, 5),
        strict=True,
    )
    files = {name: _batch(pixels, labels) for name, pixels, labels in parts}
    files["test_batch"] = _batch(arrays.test_pixels, arrays.test_labels)
    return {**files, "batches.meta": META}


def small_batches() -> dict[str, bytes]:
    """Give the seven files with two images in each batch."""
    names = [*archive.TRAIN_MD5, *archive.TEST_MD5]
    return {**{name: batch() for name in names}, "batches.meta": META}


def write_batches(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write the unpacked folder below another one."""
    return write_tree(folder / archive.FOLDER, files)


def write_archive(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write the archive, its files below its one folder."""
    plain = write_tar(
        path.with_name("plain.tar"), {f"{archive.FOLDER}/{k}": v for k, v in files.items()}
    )
    path.write_bytes(gzip.compress(plain.read_bytes(), compresslevel=1, mtime=0))
    plain.unlink()
    return path


def publish_sums(
    patch: pytest.MonkeyPatch, files: Mapping[str, bytes], packed: Path | None = None
) -> None:
    """Let the sums of these files pass for the published ones."""
    for table in ("TRAIN_MD5", "TEST_MD5", "META_MD5"):
        names = getattr(archive, table)
        patch.setattr(archive, table, {name: md5(files[name]) for name in names})
    if packed is not None:
        patch.setattr(archive, "ARCHIVE_MD5", md5(packed.read_bytes()))


def md5(content: bytes) -> str:
    """Give the sum that the archive's page would name."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _batch(pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> bytes:
    return batch(data=pixels.reshape(-1, 3072), labels=labels.tolist(), filenames=None)
