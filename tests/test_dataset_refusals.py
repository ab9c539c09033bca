"""Every wrong source, as the program answers it: exit code 2, a short message, nothing created."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cifar_dist.dataset import archive, files
from tests.commands import Program, listed
from tests.pickles import publish_sums, small_batches, write_archive
from tests.trees import TREE, write_tar
from tests.wrong_sources import CAT, SOURCES, WHOLE, Make, archives, cat, image, special


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a dataset cache that does not exist yet."""
    path = tmp_path / "cache"
    monkeypatch.setenv("CIFAR_DIST_CACHE", str(path))
    return path


@pytest.fixture
def refused(program: Program, tmp_path: Path) -> Callable[..., str]:
    """Give a function that calls the program and checks all but the words of its refusal."""

    def call(*arguments: str) -> str:
        before = listed(tmp_path)
        ended = program(*arguments)
        assert (ended.code, ended.out) == (2, "")
        assert len(ended.err.splitlines()) == 1
        assert "bug of ours" not in ended.err
        assert listed(tmp_path) == before
        return ended.err

    return call


@pytest.mark.parametrize("kind", SOURCES)
def test_a_wrong_folder_or_tar_is_refused(
    kind: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    make, sentence = SOURCES[kind]
    make(tmp_path / "source")
    assert sentence in refused("data", "prepare", str(tmp_path / "source"))


@pytest.mark.parametrize(("make", "sentence"), [case[1:] for case in archives()])
def test_what_is_not_the_official_archive_is_refused(
    make: Make,
    sentence: str,
    refused: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish_sums(monkeypatch, small_batches())
    make(tmp_path / "source")
    assert sentence in refused("data", "prepare", "cifar10", "--from", str(tmp_path / "source"))


@pytest.mark.parametrize(
    ("member", "sentence"),
    [
        (special(tarfile.REGTYPE, "../data_batch_1"), "points outside it"),
        (special(tarfile.REGTYPE, "/data_batch_1"), "points outside it"),
        (special(tarfile.SYMTYPE, "data_batch_1"), "is not a regular file"),
        (special(tarfile.LNKTYPE, "data_batch_1"), "is not a regular file"),
        (special(tarfile.BLKTYPE, "data_batch_1"), "is not a regular file"),
        (special(tarfile.REGTYPE, "zeros", 2**26 + 1), "more than the 67,108,864 bytes"),
        (special(tarfile.REGTYPE, "data_batch_1"), "data_batch_1 in .* is not the published one"),
        (special(tarfile.REGTYPE, "readme.html"), "lacks data_batch_1"),
    ],
)
def test_an_archive_that_is_hostile_inside_is_refused_even_if_its_sum_were_right(
    member: tarfile.TarInfo,
    sentence: str,
    refused: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = tmp_path / "source.tar.gz"
    write_tar(source, {}, member)
    publish_sums(monkeypatch, small_batches(), source)
    text = refused("data", "prepare", "cifar10", "--from", str(source))
    assert all(part in text for part in sentence.split(" .* "))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("data prepare cifar10", "is not prepared in"),
        ("data stats cifar10", "data prepare cifar10 --download"),
        ("data push cifar10 file:///tmp/x", "is not prepared in"),
        ("train --data cifar10", "is not prepared in"),
        ("tune --data cifar10", "is not prepared in"),
        ("data prepare cifar10 --from a --download", "--from and --download exclude each other"),
        ("data prepare sample --download", "belong to cifar10, not to 'sample'"),
        ("data prepare cifar-10", "did you mean 'cifar10'"),
        ("data push sample gs://b", "'gs:' is not a kind of store"),
        ("data push sample", "Missing argument 'URI'"),
        ("train --data gs://b/x", "'gs:' is not a kind of store"),
        ("train --data file:///nosuch/store", "holds no dataset; publish one with"),
    ],
)
def test_a_wrong_command_is_refused(line: str, sentence: str, refused: Callable[..., str]) -> None:
    assert sentence in refused(*line.split())


def test_an_unreadable_image_is_named(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    WHOLE(tmp_path / "source")
    open_path = Path.open

    def opens(path: Path, *arguments: str) -> object:
        if path.match(CAT):
            raise PermissionError(13, "Permission denied", str(path))
        return open_path(path, *arguments)

    monkeypatch.setattr(Path, "open", opens)
    text = refused("data", "prepare", str(tmp_path / "source"))
    assert "train/cat/0.jpg cannot be read: Permission denied; check its permissions" in text


def test_sources_have_an_end(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    WHOLE(tmp_path / "source")
    write_tar(tmp_path / "a.tar", TREE)
    monkeypatch.setattr(files, "_MAX_FILES", 20)
    assert "more than 20 files" in refused("data", "prepare", str(tmp_path / "source"))
    assert "more than 20 files" in refused("data", "prepare", str(tmp_path / "a.tar"))
    monkeypatch.setattr(files, "_MAX_TOTAL_BYTES", 10_000)
    assert "more than 10,000 bytes" in refused("data", "prepare", str(tmp_path / "source"))


def test_nothing_of_torch_is_loaded_to_prepare_or_to_refuse(tmp_path: Path) -> None:
    write_archive(tmp_path / archive.ARCHIVE, small_batches())
    cat(image("CMYK", "JPEG"))(tmp_path / "source")
    code = """
import sys
from cifar_dist.cli import main
for source in ("source", "cifar10", "cifar10 --from cifar-10-python.tar.gz", "synthetic"):
    sys.argv = ["cifar-dist", "data", "prepare", *source.split()]
    try:
        main()
    except SystemExit as ended:
        assert ended.code == (0 if source == "synthetic" else 2), source
assert not {"torch", "ray", "boto3", "matplotlib"} & set(sys.modules)
"""
    path = str(Path(__file__).parents[1])
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        capture_output=True,
    )
