"""`explain` writes what it saw into a new folder, and says what it predicted."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from cifar_dist.api.explain import Asked, Explanation
from cifar_dist.data import Dataset
from cifar_dist.store import open_store
from tests.commands import Program, document, listed
from tests.kept_runs import keep_run
from tests.trees import picture

RUN = "tiny-00000000"
GALLERIES = [
    f"{name}{end}.png" for name in ("confident", "correct", "wrong") for end in ("", "_cam")
]


@pytest.fixture
def kept(folder: Path, tiny_data: Dataset) -> Path:
    """Keep a run of synthetic images in the store that commands use by themselves."""
    keep_run(open_store("artifacts"), RUN, data=tiny_data.facts())
    return folder / f"{RUN}-explained"


def test_by_itself_it_draws_the_galleries_of_the_validation_split(
    kept: Path, program: Program, tiny_data: Dataset
) -> None:
    ended = program("explain", RUN, "--json")
    assert ended.err == ""
    found = document("explain", ended.out)
    assert listed(kept) == sorted(found["files"]) == GALLERIES
    assert (found["split"], found["layer"], found["method"]) == (
        "validation",
        "features",
        "grad_cam",
    )
    assert found["positions"] == [5, 5]
    assert tiny_data.validation is not None
    for row in found["images"]:
        label = int(tiny_data.validation.labels[int(row["image"])])
        assert row["true"] == tiny_data.classes[label]
        assert row["target"] == row["predicted"]
        assert row["file"] in found["files"]


def test_images_of_a_split_are_named_by_their_numbers(kept: Path, program: Program) -> None:
    line = ("--split", "test", "--index", "7", "--index", "0", "--index", "7", "--class", "cat")
    ended = program("explain", RUN, *line, "--json")
    assert ended.err.startswith("this reads the test split again")
    found = document("explain", ended.out)
    assert listed(kept) == ["test-00000.png", "test-00007.png"]
    assert [(row["image"], row["target"]) for row in found["images"]] == [
        ("7", "cat"),
        ("0", "cat"),
    ]


def test_image_files_are_explained_and_bad_ones_named(kept: Path, program: Program) -> None:
    Path("ship.png").write_bytes(picture(size=(64, 40), kind="PNG"))
    Path("bad.png").write_text("no picture")
    ended = program(
        "explain", RUN, "ship.png", "bad.png", "--output", "seen", "--layer", "features.0"
    )
    assert ended.code == 0
    assert "skipped: 'bad.png'" in ended.err
    assert "Grad-CAM of layer features.0, 28×28 positions; 1 picture in" in ended.out
    assert listed(Path("seen")) == ["1-ship.png"]
    with Image.open("seen/1-ship.png") as drawn:
        assert drawn.width == 2 * 160 + 6


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("--layer featurs", "did you mean 'features'"),
        ("--index 200", "the validation split has 200 images; give 0 to 199"),
        ("--index 1 --class bat", "did you mean 'cat'"),
        ("--class cat", "--class goes with IMAGE or --index"),
        ("--method cam", "use grad_cam"),
        ("x.png --index 1", "exclude each other"),
        ("--index 1 --output nowhere/seen", "there is no folder nowhere"),
    ],
)
def test_what_cannot_be_explained_is_said_in_a_sentence(
    line: str, complaint: str, kept: Path, program: Program
) -> None:
    ended = program("explain", RUN, *line.split())
    assert ended.code == 2
    assert complaint in ended.err
    assert not kept.exists()


@pytest.mark.parametrize("name", ["../../x", "/x", "runs/x"])
def test_its_own_folder_lies_where_one_stands(name: str) -> None:
    explanation = Explanation("speednet", "artifacts", Asked())
    explanation._origin = replace(explanation._origin, name=name)
    assert explanation.folder == Path("x-explained")


def test_nothing_is_overwritten(kept: Path, program: Program) -> None:
    kept.mkdir()
    ended = program("explain", RUN, "--index", "1")
    assert ended.code == 5
    assert listed(kept) == []
