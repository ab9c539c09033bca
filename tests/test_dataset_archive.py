"""The official archive: its sums, its layout, and what it may not be."""

import io
import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, CIFAR100

from cifar_dist.dataset import archive, find, open_dataset, prepare, prepare_cifar10
from cifar_dist.dataset.arrays import CLASSES
from cifar_dist.errors import DataError
from tests.pickles import (
    batches,
    publish_sums,
    small_batches,
    write_archive,
    write_batches,
)
from tests.test_dataset import FULL


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Give seven small files whose sums pass for the published ones."""
    small = small_batches()
    publish_sums(monkeypatch, small)
    return small


def test_the_sums_are_those_that_torchvision_knows() -> None:
    known = dict(CIFAR10.train_list + CIFAR10.test_list)
    known[CIFAR10.meta["filename"]] = CIFAR10.meta["md5"]
    assert known == {**archive.TRAIN_MD5, **archive.TEST_MD5, **archive.META_MD5}
    names = (CIFAR10.tgz_md5, CIFAR10.filename, CIFAR10.url, CIFAR10.base_folder)
    assert names == (archive.ARCHIVE_MD5, archive.ARCHIVE, archive.ADDRESS, archive.FOLDER)
    other = {md5 for _, md5 in CIFAR100.train_list + CIFAR100.test_list}
    assert {CIFAR100.tgz_md5, CIFAR100.meta["md5"], *other} == archive._CIFAR_100_MD5


@pytest.mark.parametrize("packed", [False, True])
def test_the_images_of_the_sample_come_back_from_the_archives_layout(
    packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = prepare("sample")
    written = batches(sample.arrays)
    if packed:
        path = write_archive(tmp_path / archive.ARCHIVE, written)
        publish_sums(monkeypatch, written, path)
    else:
        path = write_batches(tmp_path, written).parent
        publish_sums(monkeypatch, written)
    found = prepare_cifar10(path, tmp_path / "cache")
    assert found.arrays.sha256 == sample.arrays.sha256
    assert found.arrays.classes == CLASSES
    assert set(found.arrays.origin.files) == set(written)


@pytest.mark.full
@pytest.mark.skipif(not FULL.is_file(), reason="the full image set is not on this machine")
def test_all_images_come_back_from_the_archives_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = prepare(str(FULL), tmp_path / "cache").arrays
    written = batches(everything)
    path = write_archive(tmp_path / archive.ARCHIVE, written)
    publish_sums(monkeypatch, written, path)
    found = prepare_cifar10(path, tmp_path / "cache").arrays
    assert np.bincount(found.train_labels).tolist() == [5_000] * 10
    assert found.sha256 == everything.sha256


def test_once_prepared_it_is_found_by_its_name_alone(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    folder = write_batches(tmp_path, files)
    with pytest.raises(DataError, match=r"not prepared in .*prepare cifar10 --download"):
        find("cifar10", tmp_path / "cache")
    prepared = prepare_cifar10(folder, tmp_path / "cache")
    for path in folder.iterdir():
        path.unlink()
    opened = open_dataset("cifar10", validation_fraction=0, seed=0, cache=tmp_path / "cache")
    assert opened.sha256 == prepared.arrays.sha256
    assert opened.train.labels.tolist() == [3, 8] * 5


def test_a_damaged_copy_in_the_cache_names_the_command_that_repairs_it(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    folder = write_batches(tmp_path, files)
    entry = prepare_cifar10(folder, tmp_path / "cache").folder
    (entry / "train_pixels.npy").write_bytes(b"")
    with pytest.raises(DataError, match="data prepare cifar10 --from PATH"):
        prepare("cifar10", tmp_path / "cache")
    assert prepare_cifar10(folder, tmp_path / "cache").folder == entry
    assert prepare("cifar10", tmp_path / "cache").folder == entry


@pytest.mark.parametrize("name", [*archive.TRAIN_MD5, *archive.TEST_MD5, *archive.META_MD5])
def test_one_flipped_bit_is_refused_with_file_expected_and_found(
    name: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    content = bytearray(files[name])
    content[-2] ^= 1
    folder = write_batches(tmp_path, {**files, name: bytes(content)})
    with pytest.raises(DataError, match=rf"{name} is not .* MD5 is \w{{32}}, expected \w{{32}}"):
        prepare_cifar10(folder, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_what_was_checked_is_what_is_read(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_batches(tmp_path, files)
    checked = archive._checked

    def swapped(content: bytes, place: Any, expected: str) -> bytes:
        for path in folder.iterdir():
            path.write_bytes(b"cos\nsystem\n.")
        return checked(content, place, expected)

    monkeypatch.setattr(archive, "_checked", swapped)
    with pytest.raises(DataError, match="data_batch_2 is not the published one"):
        prepare_cifar10(folder, tmp_path / "cache")
    packed = write_archive(tmp_path / "a.tar.gz", files)
    publish_sums(monkeypatch, files, packed)

    def replaced(content: bytes, place: Any, expected: str) -> bytes:
        packed.write_bytes(b"")
        return checked(content, place, expected)

    monkeypatch.setattr(archive, "_checked", replaced)
    assert len(prepare_cifar10(packed, tmp_path / "cache").arrays.train_labels) == 10


def test_cifar_100_is_known_by_its_sum_and_by_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    packed = write_archive(tmp_path / archive.ARCHIVE, {"meta": b"fine labels"})
    known = {archive.hashlib.md5(packed.read_bytes()).hexdigest()}
    monkeypatch.setattr(archive, "_CIFAR_100_MD5", known)
    folder = write_batches(tmp_path, {"train": b"", "test": b"", "meta": b""})
    for path in (packed, folder):
        with pytest.raises(DataError, match="is CIFAR-100, not CIFAR-10"):
            prepare_cifar10(path, tmp_path / "cache")


def test_a_download_is_checked_like_a_file(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = write_archive(tmp_path / "a.tar.gz", files)
    content = packed.read_bytes()
    publish_sums(monkeypatch, files, packed)
    asked = []

    def answers(address: str) -> io.BytesIO:
        asked.append(address)
        return io.BytesIO(content if len(asked) > 1 else content[:-9])

    monkeypatch.setattr(archive, "_opened", answers)
    with pytest.raises(
        DataError, match=r"cifar-10-python.tar.gz is not the published one: its MD5"
    ):
        prepare_cifar10(None, tmp_path / "cache")
    assert len(prepare_cifar10(None, tmp_path / "cache").arrays.test_labels) == 2
    assert asked == [archive.ADDRESS] * 2


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (urllib.error.URLError("no route"), "cannot be fetched .*no route.* --from PATH"),
        (TimeoutError("timed out"), "cannot be fetched .*timed out"),
        (io.BytesIO(b"x" * 99), "sends more than 64 bytes"),
    ],
)
def test_a_download_that_fails_is_one_sentence(
    answer: io.BytesIO | OSError, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answers(_: str) -> io.BytesIO:
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(archive, "_opened", answers)
    monkeypatch.setattr(archive, "_MAX_ARCHIVE_BYTES", 64)
    with pytest.raises(DataError, match=sentence):
        prepare_cifar10(None, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_training_never_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_opened", None)
    with pytest.raises(DataError, match="not prepared"):
        open_dataset("cifar10", validation_fraction=0, seed=0, cache=tmp_path)


def test_the_archive_itself_as_data_names_the_command(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    packed = write_archive(tmp_path / archive.ARCHIVE, files)
    folder = write_batches(tmp_path, files)
    for path in (packed, folder, folder.parent):
        with pytest.raises(DataError, match=f"prepare cifar10 --from {path}` once"):
            find(str(path), tmp_path / "cache")
