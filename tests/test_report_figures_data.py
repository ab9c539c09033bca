"""The figures of a run's data: whole, small, and safe whatever the classes are called."""

import functools
import io
import re
from typing import Any

import numpy as np
import pytest
from matplotlib import rc_context, rcParams
from PIL import Image

from cifar_dist.documents import SplitStatistics
from cifar_dist.report.evidence import Evidence
from cifar_dist.report.figures import run_pictures
from cifar_dist.report.figures.data import class_distribution, classes
from cifar_dist.report.figures.drawing import style
from cifar_dist.report.figures.sheets import by_class, sheet
from cifar_dist.report.page import run_page
from cifar_dist.report.pictures import Picture
from tests.result_documents import facts, run_document

NAMES = ("cat", "dog", "ship")
PHOTO: Any = (np.zeros((3, 3, 32, 32), np.uint8), np.arange(3), NAMES, "train")
EVIL = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\u202ecat $x$ 飛")


def noise(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def statistics(names: tuple[str, ...]) -> list[SplitStatistics]:
    counts = dict(zip(names, (4, 3, 2), strict=True))
    return [
        SplitStatistics(
            split=split,
            images=9,
            shape=[9, 3, 32, 32],
            min=[0.0] * 3,
            max=[1.0] * 3,
            mean=[0.49, 0.48, 0.447_261_6],
            std=[0.25] * 3,
            variance=[0.0625] * 3,
            class_counts=counts,
        )
        for split in ("train", "test")
    ]


def evidence(names: tuple[str, ...]) -> Evidence:
    return Evidence(
        images={"train": noise(9, 3, 32, 32)},
        labels={"train": np.array([0, 0, 0, 0, 1, 1, 1, 2, 2])},
        augmented=noise(6, 8, 3, 32, 32),
        statistics=statistics(names),
        schedule=[(0.5, 0.01), (1.0, 0.1), (3.0, 0.03)],
    )


@functools.cache
def drawn(names: tuple[str, ...]) -> dict[str, Picture]:
    return run_pictures(run_document(data=facts(list(names))), evidence(names))


def test_all_that_is_known_is_drawn_and_what_is_missing_is_left_out() -> None:
    known = {"classes", "class_distribution", "augmentation", "learning_rate"}
    assert known <= set(drawn(NAMES))
    assert set(run_pictures(run_document(), Evidence())) & known == {"learning_rate"}
    assert not set(run_pictures(run_document(history=[]), Evidence())) & known


def test_a_sheet_shows_every_pixel_of_its_images_as_a_square() -> None:
    images = noise(2, 3, 3, 32, 32)
    with style():
        buffer = io.BytesIO()
        sheet(list(images)).savefig(buffer, format="png")
    with Image.open(buffer) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape == (2 * 2 * 35, 3 * 2 * 35, 3)
    for row, column in np.ndindex(2, 3):
        tile = pixels[70 * row + 2 : 70 * row + 66, 70 * column + 2 : 70 * column + 66]
        assert np.array_equal(tile[::2, ::2], images[row, column].transpose(1, 2, 0))
        assert np.array_equal(tile[1::2, 1::2], images[row, column].transpose(1, 2, 0))


def test_a_class_without_images_keeps_its_row() -> None:
    rows = by_class(noise(3, 3, 32, 32), [0, 2, 2], 3, columns=1)
    assert [len(row) for row in rows] == [1, 0, 1]


def test_the_users_own_matplotlibrc_changes_no_figure() -> None:
    found = statistics(NAMES)
    with style():
        plain = class_distribution(found, NAMES)
    with rc_context({"savefig.dpi": 300, "text.usetex": True}):
        with style():
            again, photo = class_distribution(found, NAMES), classes(*PHOTO)
        with Image.open(io.BytesIO(photo.data)) as picture:
            assert picture.height == 3 * 2 * 35
        assert (again, rcParams["savefig.dpi"]) == (plain, 300)


def test_a_figure_that_fails_is_left_out_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: object) -> list[Picture]:
        raise ZeroDivisionError("no width")

    monkeypatch.setattr("cifar_dist.report.figures.model.pictures", failing)
    assert set(run_pictures(run_document(), Evidence())) == {"confusion", "learning_rate"}
    assert "without the figures of model, which failed: ZeroDivisionError: no width" in caplog.text


@pytest.mark.parametrize(("split", "word"), [("train", "training"), ("validation", "validation")])
def test_the_caption_of_the_images_names_their_split(split: Any, word: str) -> None:
    # Images whose labels are not known are not drawn.
    images: Any = {"train": PHOTO[0], split: PHOTO[0]}
    known = Evidence(images=images, labels={split: PHOTO[1]})
    found = {"classes": drawn(NAMES)["classes"]}
    assert f"The first {word} images of each class" in run_page(run_document(), known, found)


def test_a_photograph_has_a_palette() -> None:
    for name in ("classes", "augmentation"):
        with Image.open(io.BytesIO(drawn(NAMES)[name].data)) as picture:
            assert picture.mode == "P"


def test_descriptions_carry_the_numbers() -> None:
    found = drawn(NAMES)
    assert found["class_distribution"].alt == (
        "Images of each class: training from 2 to 4; test from 2 to 4."
    )
    assert found["learning_rate"].alt == (
        "Learning rate: scheduled from 0.01 to 0.03 over 3 epochs, highest 0.1 after 1; "
        "3 epochs ran, the last at 0.0333."
    )
    assert "8 times" not in found["augmentation"].alt
    assert "in 7 epochs" in found["augmentation"].alt


def test_a_bar_is_as_long_as_its_class_is_large() -> None:
    from matplotlib.figure import Figure

    kept: list[Figure] = []
    with style(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "cifar_dist.report.figures.data.picture", lambda *parts: kept.append(parts[-1])
        )
        class_distribution(statistics(NAMES), NAMES)
    for axes in kept[0].axes:
        assert [bar.get_width() for bar in axes.patches] == [4, 3, 2]


def test_the_page_says_data_split_and_seed_and_has_the_statistics() -> None:
    document = run_document(data=facts(list(NAMES)))
    page = run_page(document, evidence(NAMES), drawn(NAMES))
    assert re.search(r"Training images of \W*sample\W*, seed 7", page)
    assert "0.447262" in page
    assert "9×3×32×32" in page
    assert 'id="learning_rate"' in page
    assert 'id="data"' not in run_page(document)


def test_names_of_classes_are_text_in_every_figure_and_in_the_page() -> None:
    found = drawn(EVIL)
    markup = run_page(run_document(data=facts(list(EVIL))), evidence(EVIL), found)
    for text in (markup, *(picture.svg or "" for picture in found.values())):
        assert "alert(1)</script>" not in text
        assert "<img src=x" not in text
        assert "\u202e" not in text.replace(f"<bdi>{EVIL[2]}</bdi>", "")
