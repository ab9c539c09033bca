"""Levels changed pixel by pixel, held against torchvision for the same factor."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from cifar_dist.augment import color
from tests.pictures import augmented, pictures

N = 40
Change = Callable[[Tensor, Tensor], Tensor]
FACTORS = torch.linspace(0, 2, N)
CASES = [
    (color.adjust_brightness, functional.adjust_brightness, FACTORS),
    (color.adjust_contrast, functional.adjust_contrast, FACTORS),
    (color.adjust_saturation, functional.adjust_saturation, FACTORS),
    (
        lambda images, turns: color.adjust_hue(images, 360 * turns),
        functional.adjust_hue,
        FACTORS / 2 - 0.5,
    ),
]


@pytest.mark.parametrize(("change", "reference", "sizes"), CASES)
def test_a_change_equals_that_of_torchvision(
    change: Change, reference: Callable[[Tensor, float], Tensor], sizes: Tensor
) -> None:
    images = pictures()[:N]
    for image, size, result in zip(images, sizes.tolist(), change(images, sizes), strict=True):
        expected = reference(image / 255, size) * 255
        # Half a level by rounding, and what torchvision's weights of gray lack of a sum of 1.
        assert (result - expected).abs().max() <= 0.53


def test_factors_are_even_around_one() -> None:
    flat = torch.full((2000, 3, 32, 32), 100, dtype=torch.uint8)
    levels = augmented(flat, {"name": "brightness", "strength": 0.5})[:, 0, 0, 0].double()
    assert (int(levels.min()), int(levels.max())) == (50, 150)
    assert float(levels.mean()) == pytest.approx(100, abs=4 * 28.9 / 2000**0.5)
    assert float(levels.std()) == pytest.approx(100 / 12**0.5, rel=0.05)


def test_gray_pictures_have_no_hue_to_turn() -> None:
    gray = augmented(pictures()[:N], {"name": "grayscale", "p": 1.0})
    assert torch.equal(gray[:, :1].expand_as(gray), gray)
    for name in ("hue", "saturation"):
        assert torch.equal(augmented(gray, {"name": name}), gray)


def test_black_and_white_survive_every_turn_of_hue() -> None:
    board = torch.zeros(N, 3, 32, 32, dtype=torch.uint8)
    board[..., ::2] = 255
    assert torch.equal(augmented(board, {"name": "hue", "degrees": 180.0}), board)
