"""Files of a folder or a tar archive, by `<split>/<class>/<name>`; nothing is extracted."""

import gzip
import hashlib
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

from cifar_dist.errors import DataError

SPLITS = ("train", "test")
LAYOUT = "lay images out as train/<class>/<image> and test/<class>/<image>"

MAX_IMAGE_BYTES = 1_000_000
_MAX_FILES = 200_000  # each costs about 2 kB of memory
_MAX_TOTAL_BYTES = 2**31  # decompressed; CIFAR-10 as JPEG files has 93 MB
# Encoded images hardly compress, and the padding of many small ones in a tar compresses well.
_FREE_BYTES, _MAX_RATIO = 2**25, 50
_MAX_READ_BYTES = 2**24  # tarfile reads headers whole, however long they claim to be
_CHUNK_BYTES = 2**20
_DEPTH = 3  # split, class, name
_BLOCK_BYTES = 512

_OPENERS: dict[bytes, Callable[[IO[bytes]], object]] = {
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
}
_BROKEN = (OSError, EOFError, ValueError, tarfile.TarError, lzma.LZMAError, zlib.error)


def folder_listing(folder: Path) -> str:
    """Hash every image's path, size and times, so that any edit changes it. Raises DataError."""
    digest, total = hashlib.sha256(), 0
    for count, (name, path) in enumerate(_image_paths(folder), start=1):
        stat = path.stat()
        total += stat.st_size
        _check_size(str(path), stat.st_size)
        _check_count(count)
        if total > _MAX_TOTAL_BYTES:
            raise DataError(
                f"{folder} holds more than {_MAX_TOTAL_BYTES:,} bytes; use smaller images"
            )
        # ctime too: copying in place can keep size and mtime, but no tool can set ctime.
        facts = (name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        digest.update(f"{facts}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def read_folder(folder: Path) -> dict[str, bytes]:
    """Read every image of a folder. Raises DataError, OSError."""
    return {name: read_file(path, MAX_IMAGE_BYTES) for name, path in _image_paths(folder)}


def read_file(path: Path, limit: int) -> bytes:
    """Read a regular file whole, but never more than `limit` bytes. Raises DataError, OSError."""
    with regular(path).open("rb") as file:
        content = file.read(limit + 1)
    _check_size(str(path), len(content), limit)
    return content


def read_tar(path: Path) -> dict[str, bytes]:
    """Read every image of a tar, plain or compressed by xz or gzip. Raises DataError, OSError."""
    images: dict[str, bytes] = {}
    with path.open("rb") as file:
        for member, content in tar_members(file, MAX_IMAGE_BYTES, str(path)):
            name = _layout_name(member)
            if name in images:
                raise DataError(f"{path} holds {name} twice; keep one of them")
            if name is not None:
                images[name] = content
    return images


def tar_members(file: IO[bytes], limit: int, place: str) -> Iterator[tuple[str, bytes]]:
    """Read every regular file of a tar, each of at most `limit` bytes, to the archive's last byte.

    Raises DataError for one that is cut or damaged, or that holds anything but files and folders.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    bound = min(_MAX_TOTAL_BYTES, _FREE_BYTES + _MAX_RATIO * size)
    try:
        with _decompressed(file) as stream:
            yield from _members(_Bounded(stream, bound), limit)
    except _BROKEN as error:
        raise DataError(f"{place} is not a whole tar archive: {error}; fetch it again") from error


def regular(path: Path) -> Path:
    """Give a regular file's path back. Raises DataError for a link, a pipe, a device, a folder."""
    if path.is_symlink() or not path.is_file():
        raise DataError(f"{path} is not a regular file; put the file itself there")
    return path


def _image_paths(folder: Path) -> Iterator[tuple[str, Path]]:
    # Only the layout's own three levels are visited, so that a wrong folder costs nothing.
    tops = (folder, *_visible(folder))
    base = next((top for top in tops if (top / SPLITS[0]).is_dir()), None)
    if base is None:
        raise _lacks(folder, SPLITS[0])
    for split in SPLITS:
        if not (base / split).is_dir():
            raise _lacks(base, split)
        for class_folder in _class_folders(base / split):
            images = _visible(class_folder)
            if not images:
                raise DataError(f"{class_folder} holds no image; remove it, or {LAYOUT}")
            for path in images:
                yield f"{split}/{class_folder.name}/{path.name}", regular(path)


def _lacks(folder: Path, split: str) -> DataError:
    near = [path.name for path in _visible(folder) if path.name.lower() == split]
    seen = f" but {near[0]}; rename it" if near else ""
    return DataError(f"{folder} holds no {split} folder{seen}; {LAYOUT}")


def _class_folders(folder: Path) -> Iterator[Path]:
    for path in (folder, *_visible(folder)):
        if path.is_dir() and path.is_symlink():
            raise DataError(f"{path} is a link; put the folder itself there")
        if path.is_dir() and path != folder:
            yield path


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _members(stream: "_Bounded", limit: int) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:") as archive:
        for count, member in enumerate(archive, start=1):
            _check_count(count)
            content = _content(archive, member, limit)
            if content is not None:
                yield member.name, content
        # tarfile takes a damaged header for the end, and a cut between two members too.
        stream.seek(archive.offset)
        if stream.read(_BLOCK_BYTES) != bytes(_BLOCK_BYTES):
            raise tarfile.ReadError(f"it breaks off at byte {archive.offset}")
    while stream.read(_MAX_READ_BYTES):
        pass  # the checksum of a compressed stream is at its end


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, limit: int) -> bytes | None:
    parts = member.name.split("/")
    if member.name.startswith("/") or ".." in parts:
        raise DataError(f"{member.name!a} in a tar points outside it; use an archive you trust")
    if member.isdir():
        return None
    file = archive.extractfile(member) if member.isreg() and not member.issparse() else None
    if file is None:
        raise DataError(f"{member.name!a} in a tar is not a regular file; {LAYOUT}")
    _check_size(member.name, member.size, limit)
    return b"".join(iter(lambda: file.read(_CHUNK_BYTES), b""))


def _layout_name(name: str) -> str | None:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if parts and parts[0] not in SPLITS:
        parts = parts[1:]  # one top folder
    hidden = any(part.startswith(".") for part in parts)
    if hidden or len(parts) < _DEPTH or parts[0] not in SPLITS:
        return None
    if len(parts) > _DEPTH:
        raise DataError(f"{name!a} in a tar lies too deep; {LAYOUT}")
    return "/".join(parts)


def _decompressed(file: IO[bytes]) -> IO[bytes]:
    head = file.read(8)
    file.seek(0)
    for magic, opener in _OPENERS.items():
        if head.startswith(magic):
            return cast(IO[bytes], opener(file))
    return file


def _check_size(name: str, size: int, limit: int = MAX_IMAGE_BYTES) -> None:
    if size > limit:
        raise DataError(f"{name!a} has more than the {limit:,} bytes allowed; use a smaller file")


def _check_count(count: int) -> None:
    if count > _MAX_FILES:
        raise DataError(f"the source holds more than {_MAX_FILES} files; use a smaller one")


class _Bounded(io.RawIOBase):
    """A decompressing stream that refuses to inflate without end."""

    def __init__(self, stream: IO[bytes], bound: int) -> None:
        self._stream = stream
        self._bound = bound

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_READ_BYTES or self.tell() > self._bound:
            raise DataError(
                f"the archive inflates to more than {self._bound:,} bytes, or a header in it "
                f"to more than {_MAX_READ_BYTES:,}; use an archive you trust"
            )
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()
