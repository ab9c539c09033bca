"""Image files of a folder or a tar archive, by `<split>/<class>/<name>`; nothing is extracted."""

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

_MAX_IMAGE_BYTES = 1_000_000
_MAX_FILES = 200_000  # each costs about 2 kB of memory
_MAX_ARCHIVE_BYTES = 2**31  # decompressed; CIFAR-10 as JPEG files has 93 MB
_MAX_READ_BYTES = 2**24  # tarfile reads headers whole, however long they claim to be
_DEPTH = 3  # split, class, name
_BLOCK_BYTES = 512

_OPENERS: dict[bytes, Callable[[IO[bytes]], object]] = {
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
}
_BROKEN = (OSError, EOFError, ValueError, tarfile.TarError, lzma.LZMAError, zlib.error)


def folder_listing(folder: Path) -> str:
    """Hash every image's path, size and times, so that any edit changes it. Raises DataError."""
    digest = hashlib.sha256()
    for name, path in _image_paths(folder):
        stat = path.stat()
        # ctime too: copying in place can keep size and mtime, but no tool can set ctime.
        facts = (name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        digest.update(f"{facts}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def read_folder(folder: Path) -> dict[str, bytes]:
    """Read every image of a folder. Raises DataError."""
    images = {}
    for name, path in _image_paths(folder):
        _check_size(str(path), path.stat().st_size)
        images[name] = path.read_bytes()
        _check_count(len(images))
    return images


def read_tar(path: Path) -> dict[str, bytes]:
    """Read every image of a tar, plain or compressed by xz or gzip. Raises DataError."""
    images: dict[str, bytes] = {}
    try:
        with path.open("rb") as file, _decompressed(file) as stream:
            for name, content in _tar_images(_Bounded(stream)):
                if name in images:
                    raise DataError(f"{path} holds {name} twice; keep one of them")
                images[name] = content
    except _BROKEN as error:
        raise DataError(f"{path} is not a whole tar archive: {error}; fetch it again") from error
    return images


def _image_paths(folder: Path) -> Iterator[tuple[str, Path]]:
    # Only the layout's own three levels are visited, so that a wrong folder costs nothing.
    tops = (folder, *_visible(folder))
    base = next((top for top in tops if (top / SPLITS[0]).is_dir()), None)
    if base is None:
        raise DataError(f"{folder} holds no train folder; {LAYOUT}")
    for split in SPLITS:
        if not (base / split).is_dir():
            raise DataError(f"{base} holds no {split} folder; {LAYOUT}")
        for class_folder in _visible(base / split):
            if class_folder.is_dir():
                for path in _visible(class_folder):
                    yield f"{split}/{class_folder.name}/{path.name}", _regular(path)


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _regular(path: Path) -> Path:
    if path.is_symlink() or not path.is_file():
        raise DataError(f"{path} is not a regular file; {LAYOUT}")
    return path


def _tar_images(stream: "_Bounded") -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:") as archive:
        for count, member in enumerate(archive, start=1):
            _check_count(count)
            content = _content(archive, member)
            name = _layout_name(member.name)
            if content is not None and name is not None:
                yield name, content
        # tarfile takes a damaged header for the end, and a cut between two members too.
        stream.seek(archive.offset)
        if stream.read(_BLOCK_BYTES) != bytes(_BLOCK_BYTES):
            raise tarfile.ReadError(f"it breaks off at byte {archive.offset}")
    while stream.read(_MAX_READ_BYTES):
        pass  # the checksum of a compressed stream is at its end


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | None:
    parts = member.name.split("/")
    if member.name.startswith("/") or ".." in parts:
        raise DataError(f"{member.name!a} in a tar points outside it; use an archive you trust")
    if member.isdir():
        return None
    file = archive.extractfile(member) if member.isreg() and not member.issparse() else None
    if file is None:
        raise DataError(f"{member.name!a} in a tar is not a regular file; {LAYOUT}")
    _check_size(member.name, member.size)
    return file.read()


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


def _check_size(name: str, size: int) -> None:
    if size > _MAX_IMAGE_BYTES:
        raise DataError(f"{name!a} has {size} bytes; an image may have {_MAX_IMAGE_BYTES}")


def _check_count(count: int) -> None:
    if count > _MAX_FILES:
        raise DataError(f"the source holds more than {_MAX_FILES} files; use a smaller one")


class _Bounded(io.RawIOBase):
    """A decompressing stream that refuses to inflate without end."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_READ_BYTES or self.tell() > _MAX_ARCHIVE_BYTES:
            raise DataError(
                f"the archive inflates to more than {_MAX_ARCHIVE_BYTES} bytes, or a header in it "
                f"to more than {_MAX_READ_BYTES}; use an archive you trust"
            )
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()
