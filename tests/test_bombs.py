"""Small files that claim to be enormous are refused by their claim, in little memory."""

import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cifar_dist.api.predict import read_images
from cifar_dist.checkpoint import STATE, WEIGHTS, load_state
from cifar_dist.containers import MAX_ARRAYS_BYTES, map_array, read_arrays, stored_names
from cifar_dist.dataset.files import read_tar
from cifar_dist.dataset.images import decode, fitted
from cifar_dist.errors import DamagedError, DataError
from cifar_dist.evidence import ActivationMaps, load_predictions
from cifar_dist.film import read_film
from cifar_dist.runs import Run
from cifar_dist.runs.manifest import read_manifest
from cifar_dist.runs.seal import sealed
from cifar_dist.store import open_store
from tests.memory import growth_bytes
from tests.tiny import make_learner
from tests.trees import TREE

LIMIT_BYTES = 64 * 2**20
LARGE = 2**27
REFUSALS = (ValueError, DamagedError, DataError)
Make = Callable[[Path], object]


def refusal_bytes(work: Callable[[], object]) -> int:
    """Give the memory that it takes to refuse something."""

    def refused() -> None:
        with pytest.raises(REFUSALS):
            work()

    return growth_bytes(refused)


def test_what_is_inflated_all_the_same_would_be_seen() -> None:
    def careless() -> None:
        raise ValueError(len(zipfile.ZipFile(io.BytesIO(PACKED)).read("test_logits.npy")))

    assert refusal_bytes(careless) > LIMIT_BYTES


def npy(shape: tuple[int, ...], kind: str = "|u1", follows: bytes = b"") -> bytes:
    """Give an .npy that claims a shape, whatever follows."""
    file = io.BytesIO()
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + follows


def zipped(names: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression, compresslevel=1) as archive:
        for name, data in names.items():
            archive.writestr(name, data)
    return file.getvalue()


def claiming(data: bytes, size: int) -> bytes:
    """Let the first member of a zip claim a size."""
    changed, at = bytearray(data), data.index(b"PK\1\2")
    changed[at + 24 : at + 28] = struct.pack("<I", size)
    changed[22:26] = struct.pack("<I", size)
    return bytes(changed)


ZEROS = npy((LARGE,), follows=bytes(LARGE))
PACKED = zipped({"test_logits.npy": ZEROS, "test_labels.npy": npy((0,), "<i8")})


def overlapping() -> bytes:
    """Give a zip of which many members are the same bytes."""
    once = zipped({"archive/data.pkl": bytes(2**20)}, zipfile.ZIP_STORED)
    at, end = once.index(b"PK\1\2"), once.index(b"PK\5\6")
    entries = once[at:end] * 300
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 300, 300, len(entries), at, 0)
    return once[:at] + entries + tail


def crowded() -> bytes:
    """Give a zip with a list of a million members."""
    once = zipped({"a": b""}, zipfile.ZIP_STORED)
    at, end = once.index(b"PK\1\2"), once.index(b"PK\5\6")
    entries = once[at:end] * 1_000_000
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 65_535, 65_535, len(entries), at, 0)
    return once[:at] + entries + tail


ARRAYS: dict[str, Callable[[], bytes]] = {
    "inflates": lambda: PACKED,
    "claims two gigabytes": lambda: claiming(PACKED, 2**31 - 1),
    "claims little and inflates": lambda: claiming(PACKED, 1000),
    "a shape without numbers": lambda: zipped({"test_logits.npy": npy((10**9, 10**9))}),
    "a negative shape": lambda: zipped({"test_logits.npy": npy((-1, -8), follows=bytes(8))}),
    "an endless header": lambda: zipped(
        {"test_logits.npy": b"\x93NUMPY\2\0" + struct.pack("<I", 2**31) + bytes(99)}
    ),
    "another packing": lambda: zipped({"test_logits.npy": bytes(2**20)}, zipfile.ZIP_BZIP2),
    "a million members": crowded,
    "overlapping": lambda: overlapping(),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_are_refused_before_they_are_inflated(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "arrays.npz"
    path.write_bytes(ARRAYS[kind]())
    for read in (read_arrays, load_predictions, ActivationMaps.load):
        assert refusal_bytes(lambda read=read: read(path)) < LIMIT_BYTES  # type: ignore[misc]


def test_the_stated_cap_is_the_last_size_that_is_read(tmp_path: Path) -> None:
    path, room = tmp_path / "a.npz", MAX_ARRAYS_BYTES - 128
    path.write_bytes(zipped({"a.npy": npy((room,), follows=bytes(room))}))
    assert read_arrays(path)["a"].shape == (room,)
    path.write_bytes(zipped({"a.npy": npy((room + 1,), follows=bytes(room + 1))}))
    with pytest.raises(ValueError, match=r"claims 67,108,865 bytes of at most 67,108,864"):
        read_arrays(path)


@pytest.mark.parametrize(
    "data",
    [npy((2**40,)), npy((3, 5), follows=bytes(16)), npy((3,), "|O", bytes(24)), PACKED[:99], b""],
)
def test_an_array_on_disk_holds_what_it_claims(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(data)
    assert refusal_bytes(lambda: map_array(tmp_path / "a.npy")) < LIMIT_BYTES


STATES: dict[str, Callable[[], bytes]] = {
    "compressed": lambda: zipped({"archive/data.pkl": bytes(LARGE), "archive/version": b"3\n"}),
    "overlapping": overlapping,
    "a million members": crowded,
    "no zip": lambda: bytes(99),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # numpy's, of a header from Python 2
def test_an_array_with_any_flipped_bit_is_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    data, refused, mapped = npy((2, 8), follows=bytes(16)), 0, tmp_path / "a.npy"
    packed = tmp_path / "a.npz"
    for bit in range(8 * (len(data) - 16)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        mapped.write_bytes(changed)
        packed.write_bytes(zipped({"a.npy": bytes(changed)}, zipfile.ZIP_STORED))
        for read in (lambda: map_array(mapped), lambda: read_arrays(packed)):
            try:
                read()
            except ValueError:
                refused += 1
    assert refused > 600


@pytest.mark.parametrize("kind", STATES)
def test_a_state_is_refused_before_torch_inflates_it(kind: str, tmp_path: Path) -> None:
    (tmp_path / STATE).write_bytes(STATES[kind]())
    load = lambda: load_state(tmp_path, torch.device("cpu"))  # noqa: E731 - called in a moment
    assert refusal_bytes(load) < LIMIT_BYTES


def test_what_torch_writes_passes_as_it_is(tmp_path: Path) -> None:
    for state in ({}, {"a": torch.zeros(3)}, {str(i): torch.zeros(i) for i in range(300)}):
        torch.save(state, tmp_path / "s.pt")
        assert len(stored_names(tmp_path / "s.pt")) >= len(state)


@pytest.mark.parametrize("claimed", [2**20 + 1, 90_000_000, 2**63, 2**64 - 1])
def test_an_endless_header_of_weights_is_refused_by_its_claim(claimed: int, tmp_path: Path) -> None:
    with (tmp_path / WEIGHTS).open("wb") as file:
        file.write(struct.pack("<Q", claimed))
        file.truncate(100_000_000)
    learner = make_learner()
    assert refusal_bytes(lambda: learner.load(tmp_path)) < LIMIT_BYTES


def picture_of(side: int, kind: str) -> bytes:
    """Give a picture of a few bytes that claims a side."""
    if kind == "JPEG":
        frame = struct.pack(">BHHB", 8, side, side, 3) + b"\1\x11\0\2\x11\0\3\x11\0"
        return b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xd9"
    head = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = [head, b"IDAT" + zlib.compress(bytes(2**20), 1), b"IEND"]
    chunks = (struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p)) for p in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("side", [7_072, 12_000, 60_000])
def test_a_picture_is_refused_by_the_size_it_claims(side: int, kind: str) -> None:
    data = picture_of(side, kind)
    assert refusal_bytes(lambda: fitted("a picture", data)) < LIMIT_BYTES
    tree = {**TREE, "train/cat/0.jpg": data}
    assert refusal_bytes(lambda: decode(tree, "here")) < LIMIT_BYTES


@pytest.mark.parametrize("size", [60_000_001, 2**40])
def test_a_file_that_is_no_picture_is_refused_in_little_memory(size: int, tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(size)
    assert refusal_bytes(lambda: read_images([tmp_path / "a.png"])) < LIMIT_BYTES


def tar_of_zeros(path: Path, members: int) -> None:
    with tarfile.open(path, "w") as archive:
        for number in range(members):
            member = tarfile.TarInfo(f"train/cat/{number}.jpg")
            member.size = 1_000_000
            archive.addfile(member, io.BytesIO(bytes(member.size)))


@pytest.mark.parametrize(
    "pack", [lambda data: gzip.compress(data, 1), lambda data: lzma.compress(data, preset=0)]
)
def test_an_archive_that_inflates_without_end_is_refused_in_little_memory(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    tar_of_zeros(tmp_path / "plain", 100)
    (tmp_path / "a.tar").write_bytes(pack((tmp_path / "plain").read_bytes()))
    assert refusal_bytes(lambda: read_tar(tmp_path / "a.tar")) < LIMIT_BYTES


def test_a_document_longer_than_any_of_its_kind_is_not_parsed(
    tmp_path: Path, tiny_data: object
) -> None:
    store = open_store(str(tmp_path / "store"))
    run = Run(store, "runs/a-00000000")
    endless = sealed({"schema": "cifar-dist/film/1", "epoch": 1, "maps": [[]] * 500_000})
    store.write(run.key("film/000001-000001.json"), endless)
    store.write(run.key("report/000001/MANIFEST.json"), endless)
    with pytest.raises(DamagedError, match=r"larger than 1,048,576 bytes"):
        read_manifest(store, run.key("report/000001/MANIFEST.json"))
    assert read_film(run, tiny_data, 0) is None  # type: ignore[arg-type]
