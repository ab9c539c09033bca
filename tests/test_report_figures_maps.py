"""Galleries and films: the same images with and without maps, named, small, and only if known."""

import dataclasses
import io
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from cifar_dist.evidence import ActivationMaps, Film, galleries, shown
from cifar_dist.report.evidence import Evidence
from cifar_dist.report.figures import films
from cifar_dist.report.figures import galleries as figures
from cifar_dist.report.figures.drawing import style
from cifar_dist.report.page import run_page
from cifar_dist.report.pictures import Picture
from tests.evidences import NAMES, drawn_evidence, evidenced_run

NASTY = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\u202erats", "$x^2$ & co"]
SEED = int(evidenced_run(drawn_evidence(20)).job["recipe"]["seed"])
SHEETS = [f"{name}{end}" for name in ("correct", "wrong", "confident") for end in ("", "_cam")]


def seen_evidence(side: int = 4, frames: int = 3) -> Evidence:
    """Give evidence with maps of every image that galleries show, and a film."""
    # Grays alone, of which a sheet's palette has all.
    grays = np.random.default_rng(2).integers(0, 64, (200, 1, 32, 32), dtype=np.uint8) * 4
    evidence, draw = drawn_evidence(200, grays.repeat(3, 1)), np.random.default_rng(3)
    indices = shown(galleries(evidence.predictions["test"], SEED))
    heat = draw.random((len(indices), side, side)).astype(np.float32)
    targets = evidence.predictions["test"].predicted[indices]
    return dataclasses.replace(
        evidence,
        maps=ActivationMaps(heat, indices, targets, "features", "cam"),
        film=Film(
            epochs=tuple(range(1, frames + 1)),
            maps=draw.random((frames, 10, side, side)).astype(np.float32),
            predicted=draw.integers(0, 10, (frames, 10)),
            confidences=draw.random((frames, 10)),
            images=evidence.images["test"][:10],
            layer="features",
            method="cam",
        ),
    )


def drawn(evidence: Evidence, names: Sequence[str] = NAMES) -> dict[str, Picture]:
    document = evidenced_run(evidence, names=list(names))
    with style():
        found = [*figures.pictures(document, evidence), *films.pictures(document, evidence)]
    return {picture.name: picture for picture in found}


@pytest.fixture(scope="module")
def pictures() -> dict[str, Picture]:
    """Draw all pictures of complete evidence once."""
    return drawn(seen_evidence())


def test_every_gallery_comes_with_and_without_maps_of_the_same_images(
    pictures: dict[str, Picture],
) -> None:
    assert [name for name in pictures if not name.startswith("film")] == SHEETS
    for name in ("correct", "wrong", "confident"):
        with (
            Image.open(io.BytesIO(pictures[name].data)) as plain,
            Image.open(io.BytesIO(pictures[f"{name}_cam"].data)) as colored,
        ):
            assert plain.width == colored.width == 4 * 142
            assert colored.height - plain.height == 46  # the color bar


def test_a_gallery_shows_each_pixel_of_its_images_as_a_square() -> None:
    evidence = seen_evidence()
    first = galleries(evidence.predictions["test"], SEED)["correct"][0]
    with Image.open(io.BytesIO(drawn(evidence)["correct"].data)) as sheet:
        tile = np.asarray(sheet.convert("RGB"))[2:128:4, 9:135:4].astype(int)
    image = evidence.images["test"][first].transpose(1, 2, 0)
    assert np.abs(tile - image).max() < 8  # of 256, as a sheet has only 256 colors


def test_the_alternative_text_names_classes_confidence_method_and_layer(
    pictures: dict[str, Picture],
) -> None:
    assert pictures["correct"].alt.startswith("Recognized test images: 20 images. ")
    assert " seen as " in pictures["wrong"].alt
    assert " %" in pictures["wrong"].alt
    assert "class activation map of layer features" in pictures["wrong_cam"].alt
    assert "from epoch 1 to epoch 3" in pictures["film_4"].alt
    assert "after epoch 1, 2, 3" in pictures["films"].alt


def test_there_is_a_film_for_each_class_and_a_strip_of_all(pictures: dict[str, Picture]) -> None:
    moving = [picture for picture in pictures.values() if picture.kind == "gif"]
    assert [picture.name for picture in moving] == [f"film_{index}" for index in range(10)]
    assert pictures["films"].kind == "png"


def test_pictures_stay_small_even_where_every_frame_differs() -> None:
    found = drawn(seen_evidence(side=8, frames=25))
    moving = [len(picture.data) for picture in found.values() if picture.kind == "gif"]
    assert max(moving) <= 60_000
    assert sum(moving) <= 500_000
    assert sum(len(picture.data) for picture in found.values()) <= 2_000_000


def test_without_maps_the_images_are_shown_alone() -> None:
    evidence = dataclasses.replace(seen_evidence(), maps=None, film=None)
    assert list(drawn(evidence)) == ["correct", "wrong", "confident"]
    few = dataclasses.replace(seen_evidence(), film=None)
    assert few.maps is not None
    some = dataclasses.replace(few.maps, indices=few.maps.indices + 1000)
    assert list(drawn(dataclasses.replace(few, maps=some))) == ["correct", "wrong", "confident"]


def test_without_evidence_there_is_no_picture_and_no_section() -> None:
    document = evidenced_run(drawn_evidence(40))
    assert not list(figures.pictures(document, Evidence()))
    assert not list(films.pictures(document, Evidence()))
    page = run_page(document)
    assert "Galleries" not in page
    assert 'id="films"' not in page


def test_a_model_without_mistakes_has_no_gallery_of_them() -> None:
    evidence = seen_evidence()
    right = evidence.predictions["test"]
    logits = np.eye(10, dtype=np.float32)[right.labels] * 9
    perfect = dataclasses.replace(right, logits=logits)
    found = drawn(
        dataclasses.replace(evidence, predictions={**evidence.predictions, "test": perfect})
    )
    assert "correct" in found
    assert not {"wrong", "wrong_cam", "confident", "confident_cam"} & set(found)


@pytest.fixture(scope="module")
def page(pictures: dict[str, Picture]) -> str:
    """Render a page of classes whose names hold markup."""
    evidence, names = seen_evidence(), [*NASTY, *NAMES[4:]]
    found = pictures | drawn(evidence, names)
    return run_page(evidenced_run(evidence, names=names), evidence, found)


def test_names_that_hold_markup_stay_text(page: str) -> None:
    assert "<script>alert(1)" not in page
    assert "<img src=x" not in page
    assert "seen as &lt;script&gt;alert(1)&lt;" in page


def test_moving_pictures_give_way_to_still_ones_where_motion_is_not_wanted(page: str) -> None:
    assert page.count("data:image/gif") == 10
    assert '<details class="films" open>' in page
    assert "prefers-reduced-motion: reduce" in page
