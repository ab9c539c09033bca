"""Image files of any kind: classified together, or named and skipped."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_dist.api.origin import Origin, origin
from cifar_dist.api.predict import predict, read_images
from cifar_dist.dataset.images import fitted
from cifar_dist.errors import DataError
from cifar_dist.store import open_store
from tests.commands import Program, document, listed
from tests.kept_runs import keep_run
from tests.trees import picture

PNG = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def bomb(side: int) -> bytes:
    """Give a small PNG that says it is an enormous picture."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return PNG + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "bomb.png": (lambda path: path.write_bytes(bomb(60_000)), "exceeds limit"),
    "large.png": (lambda path: path.write_bytes(bomb(8_000)), "more than 50,000,000"),
    "cut.jpg": (
        lambda path: path.write_bytes(picture(size=(64, 64), kind="JPEG")[:400]),
        "runcated",
    ),
    "text.png": (lambda path: path.write_text("a cat"), "neither format"),
    "empty.png": (Path.touch, "neither format"),
    "folder": (Path.mkdir, "is a folder; name the files in it"),
    "missing.png": (lambda path: None, "No such file"),
    "pipe.png": (os.mkfifo, "not a plain file"),
    "a\x00b.png": (lambda path: None, "cannot be read"),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Origin:
    store = open_store(str(tmp_path_factory.mktemp("predict") / "store"))
    keep_run(store, "a-00000000")
    return origin("a-00000000", store.uri)


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_image_is_named_in_one_line(name: str, tmp_path: Path) -> None:
    make, sentence = BAD[name]
    make(tmp_path / name)
    (tmp_path / "good.png").write_bytes(picture())
    read = read_images([tmp_path / name, tmp_path / "good.png"])
    (skipped,) = read.skipped
    assert sentence in skipped.reason
    assert name.encode("unicode_escape").decode() in skipped.reason
    assert len(skipped.reason.splitlines()) == 1
    assert read.paths == [tmp_path / "good.png"]


@pytest.mark.parametrize("size", [(32, 32), (33, 32), (500, 320), (7, 90), (1, 1)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_an_image_of_any_size_is_fitted(size: tuple[int, int], mode: str) -> None:
    fit = fitted("x", picture(mode=mode, size=size))
    assert (fit.shape, fit.dtype) == ((3, 32, 32), np.dtype("uint8"))


def test_an_image_of_the_right_size_is_not_touched() -> None:
    pixels = np.asarray(Image.open(io.BytesIO(picture(seed=5))))
    assert np.array_equal(fitted("x", picture(seed=5)), pixels.transpose(2, 0, 1))


def test_the_middle_square_of_a_photograph_is_averaged() -> None:
    photo = np.zeros((64, 128, 3), np.uint8)
    photo[::2, 32:96:2] = 200
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "PNG")
    assert np.array_equal(fitted("x", file.getvalue()), np.full((3, 32, 32), 50, np.uint8))


def test_a_photograph_taken_sideways_is_turned() -> None:
    image = Image.new("RGB", (32, 32))
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90° to the right
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    assert fitted("x", file.getvalue())[0, 0, 31] == 255


def test_probabilities_add_up_and_fall(found: Origin, tmp_path: Path) -> None:
    for seed in range(3):
        (tmp_path / f"{seed}.png").write_bytes(picture(seed))
    read = read_images([tmp_path / f"{seed}.png" for seed in (2, 0, 1)])
    rows = predict(found, read, top=10).images
    assert [Path(row.path).name for row in rows] == ["2.png", "0.png", "1.png"]
    for row in rows:
        shares = [each.probability for each in row.predictions]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1)
    alone = predict(found, read_images([tmp_path / "1.png"]), top=1).images[0]
    assert alone.predictions[0].name == rows[2].predictions[0].name


def test_the_packaged_model_is_what_predicts_by_default(program: Program, folder: Path) -> None:
    (folder / "a.png").write_bytes(picture(size=(40, 60)))
    (folder / "b.png").write_text("no image")
    ended = program("predict", "a.png", "b.png", "--json", "--cam", "seen")
    shown = document("predict", ended.out)
    assert ended.code == 0
    assert ended.err.startswith("skipped: 'b.png' is not a readable")
    assert shown["model"] == "speednet" and len(shown["images"][0]["predictions"]) == 3
    assert shown["skipped"][0]["path"] == "b.png"
    assert shown["images"][0]["cam"] == "seen/1-a.png"
    with Image.open(folder / "seen" / "1-a.png") as overlay:
        assert overlay.width > 32
    again = program("predict", "a.png", "--cam", "seen")
    assert (again.code, again.out) == (5, "")


def test_a_file_name_that_is_not_utf_8_is_shown_with_what_stands_for_its_bytes(
    program: Program, folder: Path
) -> None:
    name = os.fsdecode(b"caf\xe9")
    (folder / f"{name}.png").write_bytes(picture())
    (folder / name).mkdir()
    ended = program("predict", f"{name}.png", name, "--json", "--cam", name)
    shown = document("predict", ended.out)
    assert shown["images"][0]["path"] == "caf\ufffd.png"
    assert shown["images"][0]["cam"] == "caf\ufffd/1-caf\ufffd.png"
    assert shown["skipped"][0]["path"] == "caf\ufffd"
    ended = program("explain", "speednet", f"{name}.png", "--json", "--output", f"{name} seen")
    assert document("explain", ended.out)["files"] == ["1-caf\ufffd.png"]


def test_nothing_readable_is_bad_input(program: Program, folder: Path) -> None:
    (folder / "b.png").write_text("no image")
    ended = program("predict", "b.png", "c.png", "--cam", "seen")
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 2
    assert listed(folder) == ["b.png"]
    with pytest.raises(DataError, match="No such file"):
        read_images([folder / "c.png"])


def test_a_table_names_files_without_steering_the_terminal(program: Program, folder: Path) -> None:
    (folder / "\x1b[2J.png").write_bytes(picture())
    ended = program("predict", "\x1b[2J.png", "--top", "1")
    assert ended.code == 0
    assert "\x1b" not in ended.out + ended.err
    assert "by speednet" in ended.out
