"""Maps as color: where it is hot it is yellow, and a film stays small and loops."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cifar_dist.report.overlays import enlarged, film, heat, overlay, side_by_side, tinted

GRAY: NDArray[np.uint8] = np.full((3, 32, 32), 128, np.uint8)


def noise(count: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)


def corner() -> NDArray[np.float32]:
    hot = np.zeros((4, 4), np.float32)
    hot[0, 0] = 1
    return hot


def test_the_hottest_place_is_the_yellowest_and_the_rest_dark_blue() -> None:
    shown = overlay(GRAY, corner()).astype(int)
    assert shown.shape == (160, 160, 3)
    yellowness = shown[..., :2].min(-1) - shown[..., 2]
    assert yellowness.argmax() < 20 * 160
    assert (shown[100:, 100:] == shown[-1, -1]).all()
    assert shown[-1, -1, 2] > shown[-1, -1, 1]


def test_an_image_is_enlarged_pixel_by_pixel_and_a_map_smoothly() -> None:
    image = noise()[0]
    assert (enlarged(image, 5)[2::5, 2::5] == image.transpose(1, 2, 0)).all()
    greens = overlay(GRAY, corner())[0, :, 1].astype(int)
    assert (np.diff(greens[20:80]) <= 0).all()
    assert np.abs(np.diff(greens)).max() <= 8


def test_brightness_of_the_colors_rises_with_the_value() -> None:
    luminance = heat(np.linspace(0, 1, 256)) @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(luminance) > -0.5).all()
    assert luminance[-1] > 5 * luminance[0]


@pytest.mark.parametrize("name", ["cat", "a\nb\x07" * 80, "\u202ecat", "汉字", ""])
def test_any_name_can_be_written_below_an_image(name: str) -> None:
    with Image.open(io.BytesIO(side_by_side(noise()[0], corner(), [name, name]))) as drawn:
        assert drawn.format == "PNG"
        assert drawn.width == 2 * 160 + 6


def test_a_film_loops_and_keeps_its_last_frame_when_it_is_thinned() -> None:
    draw = np.random.default_rng(1)
    maps = draw.random((25, 7, 7)).astype(np.float32)
    lines = [(f"epoch {epoch}", "seen as cat, 50 %") for epoch in range(25)]
    made = film(noise()[0], maps, lines)
    assert len(made) <= 60_000
    with Image.open(io.BytesIO(made)) as drawn:
        assert drawn.info["loop"] == 0
        assert 1 < getattr(drawn, "n_frames", 1) < 25
        drawn.seek(getattr(drawn, "n_frames", 1) - 1)
        last = np.asarray(drawn.convert("RGB"))[:128, 134:]
    assert np.abs(last.astype(int) - tinted(noise()[0], maps[-1])).mean() < 12


def test_a_film_of_one_frame_is_a_picture() -> None:
    made = film(noise()[0], np.zeros((1, 4, 4), np.float32), [("epoch 1", "seen as cat, 10 %")])
    with Image.open(io.BytesIO(made)) as drawn:
        assert getattr(drawn, "n_frames", 1) == 1
