"""Published sources: pushed once, found by address, verified on the way back, fetched once."""

import json
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cifar_dist.dataset import Prepared, open_dataset, prepare, sources
from cifar_dist.dataset import cache as caches
from cifar_dist.dataset.published import push
from cifar_dist.dataset.turns import turn
from cifar_dist.errors import DamagedError, DataError, StoreError
from cifar_dist.store import Content, Store, open_store
from cifar_dist.store.folder import FolderStore
from tests.test_dataset import in_child
from tests.trees import TREE, write_tar, write_tree

FORK = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture
def made(tmp_path: Path) -> Prepared:
    return prepare(str(write_tree(tmp_path / "tree", TREE)), tmp_path / "maker")


@pytest.fixture
def folder_store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "store").as_uri())


def published(made: Prepared, store: Store) -> str:
    return push(made.arrays, made.folder, store.uri)


def test_a_pushed_source_comes_back_the_same_by_both_of_its_addresses(
    made: Prepared, store: Store, tmp_path: Path
) -> None:
    address = published(made, store)
    assert address == f"{store.uri}/datasets/{made.arrays.sha256[:32]}"
    for name in (address, store.uri, f"{address}/"):
        opened = open_dataset(name, validation_fraction=0, seed=0, cache=tmp_path / "node")
        assert (opened.sha256, opened.source) == (made.arrays.sha256, name)
    assert len(list((tmp_path / "node").iterdir())) == 1
    assert prepare(address, tmp_path / "node").arrays.origin == made.arrays.origin


def test_pushing_again_changes_nothing(made: Prepared, store: Store) -> None:
    address = published(made, store)
    before = [(entry.key, entry.modified) for entry in store.entries()]
    assert published(made, store) == address
    assert [(entry.key, entry.modified) for entry in store.entries()] == before


def test_the_same_images_from_elsewhere_are_the_same_dataset(
    made: Prepared, folder_store: Store, tmp_path: Path
) -> None:
    packed = prepare(str(write_tar(tmp_path / "a.tar", TREE)), tmp_path / "maker")
    assert packed.arrays.origin != made.arrays.origin
    assert published(packed, folder_store) == published(made, folder_store)


def test_the_manifest_is_written_last_and_a_cut_push_is_completed(
    made: Prepared, folder_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = FolderStore.upload

    def breaks(store: FolderStore, key: str, path: Path) -> Content:
        if "test_pixels" in key:
            raise StoreError("the network is gone; wait")
        return upload(store, key, path)

    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "upload", breaks)
        with pytest.raises(StoreError):
            published(made, folder_store)
    assert len(list(folder_store.entries())) == 2
    with pytest.raises(DataError, match="holds no dataset"):
        prepare(f"{folder_store.uri}/datasets/{made.arrays.sha256[:32]}", tmp_path / "node")
    address = published(made, folder_store)
    folder_store.delete([f"datasets/{made.arrays.sha256[:32]}/train_labels.npy"])
    assert published(made, folder_store) == address
    assert prepare(address, tmp_path / "node").arrays.sha256 == made.arrays.sha256


def test_a_store_of_several_datasets_wants_one_of_them_named(
    made: Prepared, folder_store: Store, tmp_path: Path
) -> None:
    other = prepare("synthetic", tmp_path / "maker")
    folder_store.write("datasets/notes/readme.txt", b"no dataset")
    addresses = [published(made, folder_store), published(other, folder_store)]
    with pytest.raises(DataError, match="holds 2 datasets; name one of them") as caught:
        prepare(folder_store.uri, tmp_path / "node")
    assert all(address in str(caught.value) for address in addresses)
    assert prepare(addresses[1], tmp_path / "node").arrays.sha256 == other.arrays.sha256


def test_another_dataset_at_the_same_uri_is_noticed(
    made: Prepared, folder_store: Store, tmp_path: Path
) -> None:
    published(made, folder_store)
    first = prepare(folder_store.uri, tmp_path / "node")
    folder_store.delete([entry.key for entry in folder_store.entries()])
    published(prepare("synthetic", tmp_path / "maker"), folder_store)
    assert prepare(folder_store.uri, tmp_path / "node").arrays.sha256 != first.arrays.sha256


def test_a_copy_on_the_node_needs_no_store(
    made: Prepared, folder_store: Store, tmp_path: Path
) -> None:
    address = published(made, folder_store)
    prepare(address, tmp_path / "node")
    folder_store.delete([entry.key for entry in folder_store.entries()])
    assert prepare(address, tmp_path / "node").arrays.sha256 == made.arrays.sha256


def test_a_damaged_copy_on_the_node_is_fetched_again(
    made: Prepared, folder_store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address = published(made, folder_store)
    copy = prepare(address, tmp_path / "node").folder / "train_pixels.npy"
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert prepare(address, tmp_path / "node").arrays.sha256 == made.arrays.sha256
    assert caplog.text.count("is damaged") == 1
    caplog.clear()
    prepare(address, tmp_path / "node")
    assert not caplog.text


@pytest.mark.parametrize("name", ["train_pixels.npy", "test_labels.npy"])
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_object_is_never_parsed(
    name: str, damage: str, made: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = push(made.arrays, made.folder, (tmp_path / "store").as_uri())
    path = tmp_path / "store" / "datasets" / made.arrays.sha256[:32] / name
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content if damage == "flip" else content[:-1])
    if damage == "gone":
        path.unlink()
    monkeypatch.setattr("cifar_dist.dataset.published.load", None)
    with pytest.raises(DamagedError, match=f"{name} in .* is damaged"):
        prepare(address, tmp_path / "node")
    assert not (tmp_path / "node").exists()


def lies() -> Iterator[tuple[str, Callable[[dict[str, object]], object], str]]:
    """Give manifests that do not describe what they should."""
    yield "no sum", lambda m: m.pop("sha256"), "not a manifest"
    yield "other sum", lambda m: m.update(sha256="0" * 64), "belongs to other files"
    yield "other kind", lambda m: m.update(schema="cifar-dist/train/1"), "not a manifest"
    yield "more", lambda m: m.update(run="os.system"), "not a manifest"
    yield "no files", lambda m: m.update(files={}), "belongs to other files"
    path = {"../../escaped": {"bytes": 1, "sha256": "0" * 64}}
    yield "paths", lambda m: m.update(files=path), "belongs to other files"
    yield "sizes", lambda m: m.update(files={"a": {"bytes": -1, "sha256": "0"}}), "not a manifest"
    yield "classes", lambda m: m.update(classes=["cat"]), "names 1 classes"
    yield "names", lambda m: m.update(classes=[str(n) for n in range(10)]), "images are others"


@pytest.mark.parametrize(("change", "sentence"), [case[1:] for case in lies()])
def test_a_manifest_that_lies_is_refused(
    change: Callable[[dict[str, object]], object], sentence: str, made: Prepared, tmp_path: Path
) -> None:
    address = push(made.arrays, made.folder, (tmp_path / "store").as_uri())
    path = tmp_path / "store" / "datasets" / made.arrays.sha256[:32] / "MANIFEST.json"
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(DamagedError, match=sentence) as caught:
        prepare(address, tmp_path / "node")
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "node").exists()


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("gs://bucket/x", "^data 'gs://bucket/x': 'gs:' is not a kind of store"),
        ("S3://bucket/x", "'S3:' is not a kind of store"),
        ("s3://", "^data 's3://': a bucket is 3 to 63"),
        ("s3://bucket/a#b", "query or fragment"),
        ("s3://key:secret@bucket/x", r"s3://\*\*\*@bucket.*holds credentials"),
        ("file://host/x", "a file URI is file:///"),
        ("file:///nosuch/folder", "holds no dataset; publish one with"),
        (f"file:///nosuch/datasets/{'0' * 32}", "holds no dataset '0{32}'"),
    ],
)
def test_a_wrong_address_is_one_sentence(address: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=sentence):
        prepare(address, tmp_path / "node")
    assert not (tmp_path / "node").exists()


@FORK
def test_four_processes_of_a_node_fetch_once(
    made: Prepared, folder_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, fetched = published(made, folder_store), tmp_path / "fetched"
    download = FolderStore.download
    start = time.monotonic() + 0.3

    def observed(store: FolderStore, key: str, path: Path, expected: Content) -> None:
        with fetched.open("a") as file:
            file.write(f"{key}\n")
        time.sleep(0.05)
        download(store, key, path, expected)

    def work() -> None:
        source = sources.find(address, tmp_path / "node")
        time.sleep(max(0.0, start - time.monotonic()))
        if caches.fetch(source, tmp_path / "node").sha256 != made.arrays.sha256:
            raise ValueError

    monkeypatch.setattr(FolderStore, "download", observed)
    children = [in_child(work) for _ in range(4)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert len(fetched.read_text().splitlines()) == 4  # the four files, once
    assert len(list((tmp_path / "node").iterdir())) == 1


@FORK
def test_who_waits_says_so_and_goes_on_when_the_holder_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lock = tmp_path / ".a.lock"

    def holds() -> None:
        with turn(lock):
            (tmp_path / "held").touch()
            time.sleep(600)

    child = in_child(holds)
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    monkeypatch.setattr("cifar_dist.dataset.turns._REPORT_EVERY_SECONDS", 0.0)

    def kills(_: float) -> None:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

    monkeypatch.setattr("time.sleep", kills)
    with caplog.at_level(logging.INFO), turn(lock):
        assert "waiting while another process prepares the images" in caplog.text
    assert not lock.exists()


def test_turns_are_not_needed_where_a_file_system_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", unknown)
    with turn(tmp_path / "lock"), turn(tmp_path / "lock"):
        pass
    assert list(tmp_path.iterdir()) == []
