"""Figures on the command line: what is written is listed, and nothing is overwritten."""

from pathlib import Path

import pytest
from PIL import Image

from tests.commands import Program, document

DATA = ["class_distribution.png", "classes.png", "statistics.txt"]
MODEL = ["activation_memory.png", "layers.png", "receptive_field.png"]


def test_a_sources_figures_come_with_the_statistics_of_every_split(
    program: Program, folder: Path
) -> None:
    ended = program("data", "figures", "synthetic", "--output", "here", "--json")
    assert (ended.code, ended.err) == (0, "")
    rows = document("artifacts", ended.out)["artifacts"]
    assert sorted(row["key"] for row in rows) == DATA
    assert {row["key"]: row["bytes"] for row in rows} == {
        path.name: path.stat().st_size for path in (folder / "here").iterdir()
    }
    card = (folder / "here" / "statistics.txt").read_text("utf-8")
    assert all(split in card for split in ("train", "validation", "test"))


def test_a_models_figures_are_named_on_stderr(program: Program, folder: Path) -> None:
    ended = program("models", "show", "lenet5", "--figures", "here")
    assert ended.code == 0
    assert sorted(path.name for path in (folder / "here").iterdir()) == MODEL
    assert all(f"wrote here/{name}" in ended.err for name in MODEL)
    assert "Total params: 62,006" in ended.out
    for name in MODEL:
        with Image.open(folder / "here" / name) as picture:
            assert min(picture.size) > 200


@pytest.mark.parametrize(
    ("line", "name", "flag"),
    [
        ("data figures synthetic --output here", "classes.png", "--output"),
        ("models show lenet5 --figures here", "layers.png", "--figures"),
    ],
)
def test_a_figure_that_exists_is_not_overwritten(
    line: str, name: str, flag: str, program: Program, folder: Path
) -> None:
    (folder / "here").mkdir()
    (folder / "here" / name).write_text("mine")
    ended = program(*line.split())
    assert (ended.code, ended.out) == (5, "")
    assert f"here/{name} exists; remove it or choose another {flag}" in ended.err
    assert [path.read_text() for path in (folder / "here").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "flags", ["data figures synthetic --output", "models show lenet5 --figures"]
)
def test_a_folder_is_made_only_in_one_that_exists(
    flags: str, program: Program, folder: Path
) -> None:
    assert program(*flags.split(), "no/such").code == 2
    assert not list(folder.iterdir())
    (folder / "file").write_text("mine")
    assert program(*flags.split(), "file").code == 2
