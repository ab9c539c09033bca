"""Zip, .npz and .npy files: what they claim to hold is checked before any of it is read."""

import io
import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

MAX_ARRAYS_BYTES = 2**26
"""Of all arrays of an .npz together; the predictions of 60,000 images take 3 MB."""
_MAX_DIRECTORY_BYTES = 2**20  # about 100 for each member
_ENDS = struct.Struct("<4s36xQ8x4s16x4s8xI4xH")  # zip64's record and locator, and the plain record
_PLAIN_END = struct.Struct("<4s8xI4xH")
_BROKEN = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, LookupError,
    TypeError, OverflowError, MemoryError, AttributeError, SyntaxError, tokenize.TokenError,
    struct.error,
)  # fmt: skip


def stored_names(path: Path) -> list[str]:
    """Name the members of a zip. Raises ValueError unless they lie in it uncompressed and apart."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        members = _members(file)
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("a member of it is compressed")
    if sum(member.file_size for member in members) > size:
        raise ValueError(f"its members claim more than its {size:,} bytes")
    return [member.filename for member in members]


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read an .npz by the names of its arrays; nothing is unpickled. Raises ValueError, OSError."""
    with path.open("rb") as file:
        members = _members(file)
        claimed = sum(member.file_size for member in members)
        if claimed > MAX_ARRAYS_BYTES:
            raise ValueError(f"it claims {claimed:,} bytes of at most {MAX_ARRAYS_BYTES:,}")
        try:
            with zipfile.ZipFile(file) as archive:
                return {m.filename.removesuffix(".npy"): _array(archive, m) for m in members}
        except _BROKEN as error:
            raise ValueError(_reason(error)) from error


def map_array(path: Path) -> NDArray[Any]:
    """Map an .npy into memory, copied where it is written to; nothing is unpickled.

    Raises ValueError, OSError, EOFError.
    """
    with path.open("rb") as file:
        _check_header(file, file.seek(0, io.SEEK_END))
    array: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    return array


def _members(file: IO[bytes]) -> list[zipfile.ZipInfo]:
    if _directory_bytes(file) > _MAX_DIRECTORY_BYTES:
        raise ValueError("it claims too many members")
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.infolist()
    except _BROKEN as error:
        raise ValueError(_reason(error)) from error


def _directory_bytes(file: IO[bytes]) -> int:
    """Give how long the list of members claims to be, by the record that ends every zip."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _ENDS.size))
    tail = file.read()
    if len(tail) < _PLAIN_END.size:
        raise ValueError("it is not a zip archive")
    mark, count, comment = _PLAIN_END.unpack(tail[-_PLAIN_END.size :])
    if mark != b"PK\5\6" or comment:
        raise ValueError("it is not a zip archive")
    if len(tail) == _ENDS.size:
        record, large, locator, *_ = _ENDS.unpack(tail)
        if locator == b"PK\6\7":
            return int(large) if record == b"PK\6\6" else _MAX_DIRECTORY_BYTES + 1
    return int(count)


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("a member of it is compressed in another way")
    with archive.open(member) as file:
        # With a size it inflates no more than that, whatever the stream holds.
        content = io.BytesIO(file.read(member.file_size))
    _check_header(content, len(content.getvalue()))
    content.seek(0)
    return np.asarray(np.lib.format.read_array(content, allow_pickle=False))


def _check_header(file: IO[bytes], size: int) -> None:
    """Raise ValueError unless an .npy of so many bytes holds just the numbers that it claims."""
    file.seek(0)
    try:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError("its header is not one of numpy 1.0")
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
        claimed = file.tell() + math.prod(shape) * kind.itemsize
    except _BROKEN as error:
        raise ValueError(_reason(error)) from error
    if kind.hasobject or min(shape, default=0) < 0:
        raise ValueError(f"it claims {kind} {shape}, which are no numbers")
    if claimed != size:
        raise ValueError(f"it claims {claimed:,} bytes and has {size:,}")


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
