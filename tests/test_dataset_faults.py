"""Bad sources: each is one sentence that names the fault, and nothing is prepared."""

import gzip
import io
import os
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_dist.dataset import prepare
from cifar_dist.dataset.files import read_tar
from cifar_dist.dataset.images import decode
from cifar_dist.errors import DataError
from tests.trees import TREE, picture, write_tar, write_tree

CAT = "train/cat/0.jpg"


def without(part: str) -> dict[str, bytes]:
    return {path: content for path, content in TREE.items() if part not in path}


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.size, found.linkname = kind, size, "/etc/passwd"
    return found


def declared(width: int, height: int) -> bytes:
    """Make a PNG of a few bytes that claims a size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checksum = struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + checksum


def translucent() -> bytes:
    file = io.BytesIO()
    Image.new("RGBA", (32, 32), (1, 2, 3, 4)).save(file, "PNG")
    return file.getvalue()


def sixteen_bits() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((32, 32), 40_000, dtype=np.uint16)).save(file, "PNG")
    return file.getvalue()


def animated() -> bytes:
    file, frames = io.BytesIO(), [Image.new("RGB", (32, 32), color) for color in ("red", "blue")]
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    return file.getvalue()


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "no train folder"),
        (without("test/"), "no test"),
        (without("train/"), "no train folder"),
        (without("cat/"), "9 classes, not 10"),
        (without("test/cat/"), "'cat' has images only in train"),
        (without("train/cat/"), "'cat' has images only in test"),
        ({**TREE, "train/eel/0.jpg": TREE[CAT], "test/eel/0.jpg": TREE[CAT]}, "11 classes"),
        ({**TREE, "train/cat/more/0.jpg": TREE[CAT]}, "not a regular file|too deep"),
        ({**TREE, CAT: b""}, "'train/cat/0.jpg' is not a readable JPEG or PNG"),
        ({**TREE, CAT: bytes(1_000_001)}, "0.jpg' has more than the 1,000,000 bytes allowed"),
    ],
)
def test_a_wrong_tree_is_one_sentence_in_a_folder_and_in_a_tar(
    files: dict[str, bytes], sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "tree").mkdir()
    folder = write_tree(tmp_path / "tree", files)
    archive = write_tar(tmp_path / "a.tar", files)
    for source, expected in ((folder, sentence), (archive, sentence.replace(" folder", ""))):
        with pytest.raises(DataError, match=expected) as caught:
            prepare(str(source), tmp_path / "cache")
        assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (TREE[CAT][: len(TREE[CAT]) // 2], "not a readable JPEG or PNG"),
        (b"#!/bin/sh\n", "not a readable JPEG or PNG"),
        (picture(kind="GIF"), "not a readable JPEG or PNG"),
        (declared(20_000, 20_000), "not a readable JPEG or PNG"),
        (declared(12_000, 12_000), "12000×12000 pixels|not a readable"),
        (picture(size=(32, 31)), "has 32×31 pixels; resize to 32×32"),
        (picture(size=(31, 31)), "has 31×31 pixels; resize to 32×32"),
        (picture(size=(1025, 1025), kind="JPEG"), "has 1025×1025 pixels; resize to 32×32"),
        (sixteen_bits(), "has 16 bits per value; save it with 8"),
        (animated(), "is animated; save one frame of it"),
        (picture(mode="CMYK", kind="JPEG"), "color mode CMYK; save it as RGB"),
        (picture(mode="1"), "color mode 1; save it as RGB"),
        (translucent(), "partly transparent; save it as RGB"),
    ],
)
def test_a_wrong_image_is_named_with_the_rule_it_breaks(content: bytes, sentence: str) -> None:
    with pytest.raises(DataError, match=rf"'train/cat/0.jpg' .*({sentence})"):
        decode({**TREE, CAT: content}, "here")


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA"])
def test_gray_palette_and_opaque_images_become_rgb_and_are_counted(mode: str) -> None:
    content = picture(mode=mode)
    arrays = decode({**TREE, CAT: content}, "here")
    with Image.open(io.BytesIO(content)) as image:
        expected = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    first_cat = 2 * arrays.classes.index("cat")
    assert np.array_equal(arrays.train_pixels[first_cat], expected)
    assert (arrays.origin.converted_images, arrays.origin.resized_images) == (1, 0)


@pytest.mark.parametrize("factor", [2, 3, 8])
def test_a_larger_square_is_averaged_down_and_counted(factor: int) -> None:
    content = picture(size=(32 * factor, 32 * factor))
    arrays = decode({**TREE, CAT: content}, "here")
    with Image.open(io.BytesIO(content)) as image:
        blocks = np.asarray(image, dtype=float).reshape(32, factor, 32, factor, 3)
    first_cat = 2 * arrays.classes.index("cat")
    error = arrays.train_pixels[first_cat] - blocks.mean((1, 3)).transpose(2, 0, 1)
    assert np.abs(error).max() <= 1
    assert (arrays.origin.converted_images, arrays.origin.resized_images) == (0, 1)


def test_damaged_images_never_raise_anything_else() -> None:
    random = np.random.default_rng(0)
    for kind in ("JPEG", "PNG") * 150:
        content = bytearray(picture(kind=kind))
        for place in random.integers(0, len(content), 8):
            content[place] = random.integers(256)
        try:
            decode({**TREE, CAT: bytes(content)}, "here")
        except DataError as error:
            assert CAT in str(error)


@pytest.mark.parametrize(
    ("special", "sentence"),
    [
        (member("../../escaped.jpg"), "points outside"),
        (member("train/cat/../../../escaped.jpg"), "points outside"),
        (member("/tmp/escaped.jpg"), "points outside"),
        (member(CAT, tarfile.SYMTYPE), "not a regular file"),
        (member("cifar10", tarfile.SYMTYPE), "not a regular file"),
        (member(CAT, tarfile.LNKTYPE), "not a regular file"),
        (member(CAT, tarfile.FIFOTYPE), "not a regular file"),
        (member(CAT, tarfile.CHRTYPE), "not a regular file"),
        (member("zeros", size=2_000_000), "'zeros' has more than the 1,000,000 bytes"),
        (member(CAT), "train/cat/0.jpg twice"),
    ],
)
def test_a_hostile_tar_is_refused_and_writes_nothing(
    special: tarfile.TarInfo, sentence: str, tmp_path: Path
) -> None:
    archive = write_tar(tmp_path / "a.tar", TREE, special)
    with pytest.raises(DataError, match=sentence):
        prepare(str(archive), tmp_path / "cache")
    assert list(tmp_path.iterdir()) == [archive]


def test_a_header_that_inflates_without_end_is_refused_by_its_claim(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(member("long", tarfile.XHDTYPE, 2**33 - 512).tobuf() + bytes(4096))
    with pytest.raises(DataError, match="use an archive you trust"):
        read_tar(path)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.8])
def test_a_cut_archive_is_never_taken_for_a_smaller_one(
    suffix: str, share: float, tmp_path: Path
) -> None:
    path = write_tar(tmp_path / f"a{suffix}", TREE)
    content = path.read_bytes()[: int(share * path.stat().st_size)]
    path.write_bytes(content[: len(content) // 512 * 512] if suffix == ".tar" else content)
    with pytest.raises(DataError, match="not a whole tar archive"):
        read_tar(path)


def test_a_damaged_header_in_a_tar_is_not_taken_for_its_end(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", TREE)
    content = bytearray(path.read_bytes())
    content[content.index(CAT.encode())] ^= 1
    path.write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match="not a whole tar archive: it breaks off"):
        read_tar(path)


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.xz"])
def test_a_flipped_byte_in_a_compressed_tar_is_found(suffix: str, tmp_path: Path) -> None:
    path = write_tar(tmp_path / f"a{suffix}", TREE)
    whole = path.read_bytes()
    for share in (0.1, 0.4, 0.7, 0.99):
        content = bytearray(whole)
        content[int(share * len(content))] ^= 1
        path.write_bytes(content)
        with pytest.raises(DataError):
            read_tar(path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("sampel", "did you mean 'sample'"),
        ("nosuch", "valid: cifar10, sample, synthetic"),
        ("no/such/folder", "neither a known source nor an existing folder or tar file"),
        ("nul\0", "neither a known source"),
        ("/dev/zero", "neither a known source"),
        ("x" * 300, "cannot be read: File name too long"),
    ],
)
def test_an_unknown_source_is_one_sentence(name: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=sentence):
        prepare(name, tmp_path)


def test_links_and_pipes_in_a_folder_are_refused(tmp_path: Path) -> None:
    for name in ("link", "pipe"):
        folder = write_tree(tmp_path / name, TREE)
        odd = folder / "train/cat/odd.jpg"
        odd.symlink_to("/etc/passwd") if name == "link" else os.mkfifo(odd)
        with pytest.raises(DataError, match=r"odd\.jpg is not a regular file"):
            prepare(str(folder), tmp_path / "cache")


def test_hidden_files_and_files_beside_the_layout_are_passed_over(tmp_path: Path) -> None:
    extra = {"train/cat/.DS_Store": b"x", "README.md": b"x", "train/labels.csv": b"x"}
    folder = write_tree(tmp_path / "tree", {**TREE, **extra})
    archive = write_tar(tmp_path / "a.tar", {**TREE, **extra})
    assert read_tar(archive) == TREE
    assert prepare(str(folder), tmp_path / "cache").folder.is_dir()
