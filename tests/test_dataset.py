"""Sources and their cache: every way in, two processes at once, kills, damage."""

import json
import logging
import os
import runpy
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cifar_dist.data import Dataset
from cifar_dist.dataset import cache as caches
from cifar_dist.dataset import open_dataset, prepare, sources, synthetic
from cifar_dist.dataset.arrays import ARRAYS, CLASSES
from cifar_dist.dataset.files import read_tar
from cifar_dist.errors import DataError
from tests.trees import TREE, write_tar, write_tree

ROOT = Path(__file__).parents[1]
FULL = Path(os.environ.get("CIFAR_DIST_FULL_DATA", ROOT / "../shared/data/cifar10-jpeg.tar.xz"))
FILES = ["index.json", *(f"{name}.npy" for name in ARRAYS)]
FLUSHES = 7  # of one preparation: four arrays, the index, its folder, the cache


def opened(source: object, cache: Path, fraction: float = 0.0) -> Dataset:
    return open_dataset(str(source), validation_fraction=fraction, seed=0, cache=cache)


def in_child(work: Callable[[], object]) -> int:
    """Run work in a forked process and give its id."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return pid


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "tree", TREE)


def test_the_sample_is_ten_thousand_balanced_images_of_cifar_10(shared_cache: Path) -> None:
    sample = opened("sample", shared_cache, 0.1)
    assert sample.validation is not None
    splits = (sample.train, sample.validation, sample.test)
    counts = [set(torch.bincount(split.labels).tolist()) for split in splits]
    assert counts == [{900}, {100}, {200}]
    assert sample.classes == CLASSES
    assert sources.SAMPLE.stat().st_size <= 5_000_000
    # The real pictures have the mean of the archive; a tenth of them comes that near.
    mean = sample.train.pixels.double().mean((0, 2, 3)) / 255
    torch.testing.assert_close(mean.tolist(), [0.4913, 0.4821, 0.4465], atol=0.005, rtol=0)


def test_synthetic_images_can_be_told_apart_and_are_always_the_same(tmp_path: Path) -> None:
    images = opened("synthetic", tmp_path)
    pixels, labels = images.train.pixels.float().flatten(1), images.train.labels
    means = torch.stack([pixels[labels == label].mean(0) for label in range(10)])
    nearest = torch.cdist(images.test.pixels.float().flatten(1), means).argmin(1)
    assert (nearest == images.test.labels).float().mean() > 0.9
    assert images.sha256 == synthetic.generate().sha256


@pytest.mark.parametrize("name", ["a.tar", "a.tar.xz", "a.tar.gz"])
@pytest.mark.parametrize("top", ["", "./", "cifar10/", "train-set/"])
def test_a_tar_is_the_same_dataset_as_its_folder(
    name: str, top: str, tree: Path, tmp_path: Path
) -> None:
    archive = write_tar(tmp_path / name, {f"{top}{path}": data for path, data in TREE.items()})
    folder, packed = opened(tree, tmp_path / "cache"), opened(archive, tmp_path / "cache")
    assert folder.sha256 == packed.sha256
    assert torch.equal(folder.train.pixels, packed.train.pixels)


def test_a_folder_may_lie_under_one_top_folder(tree: Path, tmp_path: Path) -> None:
    assert opened(tree.parent, tmp_path / "cache").sha256 == opened(tree, tmp_path).sha256


def test_classes_and_images_come_in_the_order_of_their_paths(tree: Path, tmp_path: Path) -> None:
    images = opened(tree, tmp_path / "cache")
    assert images.classes == tuple(sorted(CLASSES))
    assert images.train.labels.tolist() == [label for label in range(10) for _ in range(2)]
    assert (len(images.train), len(images.test)) == (20, 10)


def test_a_prepared_source_is_opened_without_decoding(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(tree, tmp_path / "cache")
    monkeypatch.setattr(sources, "decode", None)
    assert opened(tree, tmp_path / "cache").sha256 == first.sha256


def test_an_edit_is_noticed_even_if_size_and_date_stay(tree: Path, tmp_path: Path) -> None:
    before = prepare(str(tree), tmp_path / "cache").folder
    image = next(tree.glob("train/cat/*"))
    stat = image.stat()
    image.write_bytes(image.read_bytes())
    os.utime(image, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert prepare(str(tree), tmp_path / "cache").folder != before


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.02, 0.5, 0.98])
def test_a_flipped_byte_in_the_cache_is_found_and_repaired(
    name: str, place: float, tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = prepare(str(tree), tmp_path / "cache").folder
    content = bytearray((entry / name).read_bytes())
    content[int(place * len(content))] ^= 1
    (entry / name).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert opened(tree, tmp_path / "cache").sha256 == opened(tree, tmp_path / "new").sha256
    assert "is damaged" in caplog.text or name == "index.json"
    caplog.clear()
    opened(tree, tmp_path / "cache")
    assert not caplog.text


@pytest.mark.parametrize("name", FILES)
def test_a_lost_file_of_the_cache_is_made_again(name: str, tree: Path, tmp_path: Path) -> None:
    entry = prepare(str(tree), tmp_path / "cache").folder
    (entry / name).unlink()
    assert prepare(str(tree), tmp_path / "cache").folder == entry
    assert (entry / name).exists()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("call", range(FLUSHES))
def test_a_kill_while_preparing_leaves_nothing_half_prepared(
    call: int, tree: Path, tmp_path: Path
) -> None:
    flush, calls = caches.flush, iter(range(FLUSHES))

    def killed(path: Path) -> None:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        flush(path)

    def work() -> None:
        caches.flush = killed
        caches.fetch(sources.find(str(tree)), tmp_path / "cache")

    _, status = os.waitpid(in_child(work), 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    entries = [path for path in (tmp_path / "cache").iterdir() if not path.name.startswith(".")]
    assert bool(entries) == (call == FLUSHES - 1)
    assert opened(tree, tmp_path / "cache").sha256 == opened(tree, tmp_path / "new").sha256


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_many_processes_preparing_at_once_are_all_right(tree: Path, tmp_path: Path) -> None:
    start = time.monotonic() + 0.2

    def work() -> None:
        source = sources.find(str(tree))
        time.sleep(max(0.0, start - time.monotonic()))
        if caches.fetch(source, tmp_path / "cache").sha256 != expected:
            raise ValueError

    expected = opened(tree, tmp_path / "other").sha256
    children = [in_child(work) for _ in range(6)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_prepared_source_needs_no_right_to_write(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = opened(tree, tmp_path / "cache").sha256
    monkeypatch.setattr(tempfile, "mkdtemp", read_only)
    assert opened(tree, tmp_path / "cache").sha256 == expected


def test_a_cache_that_cannot_be_written_is_one_sentence(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "mkdtemp", read_only)
    with pytest.raises(DataError, match=r"cache .* cannot be written: .*CIFAR_DIST_CACHE"):
        opened(tree, tmp_path / "cache")


def read_only(*_: object, **__: object) -> str:
    raise OSError(30, "Read-only file system")


def test_what_killed_processes_left_is_swept_after_a_day(tree: Path, tmp_path: Path) -> None:
    old, young = tmp_path / "cache/.unfinished-old", tmp_path / "cache/.unfinished-young"
    for folder in (old, young):
        (folder / "fresh").mkdir(parents=True)
    os.utime(old, (0, 0))
    opened(tree, tmp_path / "cache")
    assert (old.exists(), young.exists()) == (False, True)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"CIFAR_DIST_CACHE": "a", "XDG_CACHE_HOME": "b"}, "a"),
        ({"CIFAR_DIST_CACHE": "", "XDG_CACHE_HOME": "b"}, "b/cifar-dist"),
        ({"CIFAR_DIST_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "c"}, "c/.cache/cifar-dist"),
        ({"CIFAR_DIST_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/proc"}, "d/cifar-dist-{user}"),
    ],
)
def test_the_cache_lies_where_the_environment_says_or_beside_temporary_files(
    variables: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value) if value else "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "d"))
    monkeypatch.setattr("os.access", lambda path, _: Path(path) != Path("/proc"))
    assert caches.root(None) == tmp_path / expected.format(user=os.getuid())


def test_a_temporary_cache_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"CIFAR_DIST_CACHE": "", "XDG_CACHE_HOME": "/proc/none"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr("os.getuid", lambda: 12345)
    (tmp_path / "cifar-dist-12345").mkdir()
    with pytest.raises(DataError, match="another user's"):
        caches.root(None)


def test_the_index_says_what_lies_beside_it(tree: Path, tmp_path: Path) -> None:
    index = json.loads((prepare(str(tree), tmp_path).folder / "index.json").read_bytes())
    assert index["schema"] == "cifar-dist/dataset/2"
    assert index["sha256"] == opened(tree, tmp_path).sha256
    assert set(index["arrays"]) == set(ARRAYS)


@pytest.mark.full
@pytest.mark.skipif(not FULL.is_file(), reason="the full image set is not on this machine")
def test_the_sample_is_what_its_script_chooses_from_the_full_set() -> None:
    everything, sample = read_tar(FULL), read_tar(sources.SAMPLE)
    assert len(everything) == 60_000
    choose = runpy.run_path(str(ROOT / "deploy/make_sample.py"))["choose"]
    assert sample == {path: everything[path] for path in choose(list(everything))}
