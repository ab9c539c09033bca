"""Wrong folders, tars and archives, each with words of the sentence that must refuse it."""

import gzip
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.pickles import small_batches, write_batches
from tests.trees import TREE, picture, write_tar, write_tree

CAT = "train/cat/0.jpg"
Make = Callable[[Path], object]


def tree(**changes: bytes | None) -> Make:
    """Give what writes the tree with its first cat replaced, or other files changed or removed."""
    return lambda path: write_tree(path, changed(changes))


def changed(changes: dict[str, bytes | None]) -> dict[str, bytes]:
    merged: dict[str, bytes | None] = {**TREE, **changes}
    return {name: content for name, content in merged.items() if content is not None}


def cat(content: bytes) -> Make:
    return tree(**{CAT: content})


def image(mode: str, kind: str = "PNG", frames: int = 1) -> bytes:
    file = io.BytesIO()
    pictures = [Image.new(mode, (32, 32), index) for index in range(frames)]
    pictures[0].save(file, kind, save_all=frames > 1, append_images=pictures[1:])
    return file.getvalue()


def sixteen_bits() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((32, 32), 40_000, dtype=np.uint16)).save(file, "PNG")
    return file.getvalue()


def renamed(old: str, new: str) -> Make:
    return lambda path: write_tree(path, {k.replace(old, new, 1): v for k, v in TREE.items()})


def without(part: str) -> Make:
    return lambda path: write_tree(path, {k: v for k, v in TREE.items() if part not in k})


def then(make: Make, change: Make) -> Make:
    def both(path: Path) -> None:
        make(path)
        change(path)

    return both


def relinked(path: Path) -> None:
    (path / "train/cat").rename(path / "cats")
    (path / "train/cat").symlink_to(path / "cats")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


def special(kind: bytes, name: str = CAT, size: int = 0) -> tarfile.TarInfo:
    """Give a member of a tar of any kind."""
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, size, "/etc/passwd"
    return member


def packed(kind: bytes, name: str = CAT, size: int = 0) -> Make:
    """Give what writes a tar whose first member is of this kind."""
    member = special(kind, name, size)
    return lambda path: write_tar(path.with_suffix(".tar"), TREE, member).rename(path)


def zeros(path: Path) -> None:
    plain = write_tar(path.with_suffix(".tar"), TREE)
    content = plain.read_bytes() + bytes(2**27)
    plain.unlink()
    path.write_bytes(gzip.compress(content, compresslevel=1))


WHOLE = tree()
SOURCES: dict[str, tuple[Make, str]] = {
    "missing": (lambda path: None, "neither a known source nor an existing"),
    "dangling link": (lambda path: path.symlink_to("nowhere"), "neither a known source"),
    "pipe": (os.mkfifo, "neither a known source"),
    "empty folder": (Path.mkdir, "holds no train folder; lay images out"),
    "no train": (without("train/"), "holds no train folder"),
    "no test": (without("test/"), "holds no test folder"),
    "case of a split": (renamed("train/", "Train/"), "no train folder but Train; rename it"),
    "case of a class": (renamed("train/cat/", "train/Cat/"), "'Cat' has images only in train and"),
    "nine classes": (without("/cat/"), "holds images of 9 classes, not 10"),
    "eleven classes": (
        tree(**{"train/eel/0.jpg": TREE[CAT], "test/eel/0.jpg": TREE[CAT]}),
        "holds images of 11 classes, not 10",
    ),
    "class in one split": (without("test/cat/"), "'cat' has images only in train"),
    "empty class": (
        then(WHOLE, lambda path: (path / "train/eel").mkdir()),
        "train/eel holds no image; remove it",
    ),
    "folder in a class": (tree(**{"train/cat/more/0.jpg": TREE[CAT]}), "more is not a regular"),
    "link to a file": (
        then(WHOLE, lambda path: (path / "train/cat/a.jpg").symlink_to("/etc/passwd")),
        "a.jpg is not a regular file",
    ),
    "link to nothing": (
        then(WHOLE, lambda path: (path / "train/cat/a.jpg").symlink_to("nowhere")),
        "a.jpg is not a regular file",
    ),
    "link to a class": (then(WHOLE, relinked), "train/cat is a link; put the folder"),
    "link to /etc": (
        then(WHOLE, lambda path: (path / "train/etc").symlink_to("/etc")),
        "train/etc is a link",
    ),
    "pipe in a class": (
        then(WHOLE, lambda path: os.mkfifo(path / "train/cat/a.jpg")),
        "a.jpg is not a regular file",
    ),
    "terabyte of nothing": (
        then(WHOLE, lambda path: sparse(path / "train/cat/a.jpg")),
        "a.jpg' has more than the 1,000,000 bytes",
    ),
    "empty file": (cat(b""), "'train/cat/0.jpg' is not a readable JPEG or PNG"),
    "cut file": (cat(TREE[CAT][:400]), "'train/cat/0.jpg' is not a readable JPEG or PNG"),
    "text": (cat(b"not an image"), "its content is of neither format; replace it"),
    "GIF named jpg": (cat(image("P", "GIF")), "its content is of neither format"),
    "BMP named jpg": (cat(image("RGB", "BMP")), "its content is of neither format"),
    "large file": (cat(bytes(1_000_001)), "0.jpg' has more than the 1,000,000 bytes"),
    "not square": (cat(picture(size=(64, 32))), "has 64×32 pixels; resize to 32×32"),
    "too small": (cat(picture(size=(31, 31))), "has 31×31 pixels; resize to 32×32"),
    "too large": (cat(picture(size=(1056, 1056), kind="JPEG")), "has 1056×1056 pixels; resize"),
    "CMYK": (cat(image("CMYK", "JPEG")), "color mode CMYK; save it as RGB"),
    "two levels": (cat(image("1")), "color mode 1; save it as RGB"),
    "16 bits": (cat(sixteen_bits()), "has 16 bits per value; save it with 8"),
    "transparent": (cat(image("RGBA")), "partly transparent; save it as RGB"),
    "animated": (cat(image("L", frames=2)), "is animated; save one frame of it"),
    "text as a tar": (lambda path: path.write_text("words\n" * 999), "is not a whole tar archive"),
    "empty tar": (lambda path: path.write_bytes(b""), "is not a whole tar archive"),
    "tar of nothing": (lambda path: path.write_bytes(bytes(10_240)), "holds no train images"),
    "tar with ..": (packed(tarfile.REGTYPE, "../../a.jpg"), "points outside it"),
    "tar with /": (packed(tarfile.REGTYPE, "/tmp/a.jpg"), "points outside it"),
    "tar with a symbolic link": (packed(tarfile.SYMTYPE), "is not a regular file"),
    "tar with a hard link": (packed(tarfile.LNKTYPE), "is not a regular file"),
    "tar with a device": (packed(tarfile.CHRTYPE), "is not a regular file"),
    "tar with a pipe": (packed(tarfile.FIFOTYPE), "is not a regular file"),
    "tar with a large file": (packed(tarfile.REGTYPE, "a", 2_000_000), "more than the 1,000,000"),
    "tar with a double": (packed(tarfile.REGTYPE), "holds train/cat/0.jpg twice"),
    "tar too deep": (packed(tarfile.REGTYPE, "train/cat/a/b.jpg"), "lies too deep"),
    "gzip bomb": (zeros, "inflates to more than"),
    "archive as data": (
        lambda path: write_batches(path, {"data_batch_1": b""}),
        "data prepare cifar10 --from",
    ),
}


def archives() -> Iterator[tuple[str, Make, str]]:
    """Give what may stand behind --from, with small batches whose sums pass for the real ones."""
    whole = small_batches()
    swapped = {**whole, "test_batch": whole["data_batch_1"][:-9] + whole["data_batch_1"][-9:][::-1]}

    def of(files: dict[str, bytes]) -> Make:
        return lambda path: write_batches(path, files)

    def one(change: Callable[[Path], object]) -> Make:
        def write(path: Path) -> None:
            odd = write_batches(path, whole) / "data_batch_2"
            odd.unlink()
            change(odd)

        return write

    yield "missing", lambda path: None, "does not exist; run `cifar-dist data prepare cifar10"
    yield "empty folder", Path.mkdir, "lacks data_batch_1"
    yield "pipe", os.mkfifo, "is not a regular file"
    yield "terabyte", sparse, "more than the 268,435,456 bytes"
    yield "no archive", lambda path: path.write_text("words"), "is not the published one: its MD5"
    yield "images", WHOLE, "lacks data_batch_1"
    yield "no such batch", one(lambda path: None), "lacks data_batch_2"
    yield "no such meta", of({**whole, "batches.meta": b""}), "batches.meta is not the published"
    yield "empty batch", one(Path.touch), "data_batch_2 is not the published one"
    yield "pipe for a batch", one(os.mkfifo), "data_batch_2 is not a regular file"
    yield "folder for a batch", one(Path.mkdir), "data_batch_2 is not a regular file"
    yield "link for a batch", one(lambda path: path.symlink_to("data_batch_1")), "not a regular"
    yield "terabyte for a batch", one(sparse), "more than the 67,108,864 bytes"
    yield "swapped", of(swapped), "test_batch is not the published one"
    yield "CIFAR-100", of({"train": b"", "test": b"", "meta": b""}), "is CIFAR-100, not CIFAR-10"
    yield "pickle", one(lambda path: path.write_bytes(b"cos\nsystem\n.")), "is not the published"
