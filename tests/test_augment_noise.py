"""Noise that belongs to an image, and blur."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from cifar_dist.augment.noise import hashed
from tests.pictures import augmented, pictures

GRAY = torch.full((1000, 3, 32, 32), 128, dtype=torch.uint8)


@pytest.fixture(scope="module")
def words() -> Tensor:
    draws = torch.rand(1000, 2, generator=torch.Generator().manual_seed(0))
    return hashed(draws, 3072)


@pytest.mark.parametrize("shift", [0, 8, 16, 24])
def test_every_byte_of_the_hash_is_even(shift: int, words: Tensor) -> None:
    counts = (words >> shift & 255).flatten().bincount(minlength=256).double()
    expected = words.numel() / 256
    chi_squared = float(((counts - expected) ** 2 / expected).sum())
    assert 255 - 4 * 510**0.5 < chi_squared < 255 + 4 * 510**0.5


def test_numbers_of_neighbors_and_of_other_images_are_independent(words: Tensor) -> None:
    numbers = words.double() / 2**31
    limit = 4.5 / 3072**0.5 / 3  # the variance of such a number is 1/3
    for other in (numbers.roll(1, 0), numbers.roll(1, 1), numbers.roll(32, 1)):
        products = (numbers * other).mean(1)
        assert products.abs().max() < limit
        assert abs(float(products.mean())) < limit / 1000**0.5


def test_draws_that_differ_in_the_last_bit_give_other_noise() -> None:
    draws = torch.tensor([[0.5, 0.5], [0.5 + 2**-24, 0.5], [0.5, 0.5 + 2**-24], [0.0, 0.0]])
    words = hashed(draws, 3072).double() / 2**31
    assert (words.corrcoef() - torch.eye(4)).abs().max() < 4.5 / 3072**0.5


def test_noise_is_normal_and_of_the_deviation_asked_for() -> None:
    noise = augmented(GRAY, {"name": "gaussian_noise", "std": 20.0, "p": 1.0}).double() - 128
    n = noise.numel()
    assert float(noise.mean()) == pytest.approx(0, abs=4 * 20 / n**0.5)
    assert float(noise.std()) == pytest.approx((400 + 1 / 12) ** 0.5, rel=4 / (2 * n) ** 0.5)
    for limit, share in ((20.5, 0.6947), (40.5, 0.9571), (60.5, 0.99751)):
        assert float((noise.abs() < limit).double().mean()) == pytest.approx(share, abs=1e-3)


def test_noise_of_no_deviation_is_none() -> None:
    assert torch.equal(augmented(GRAY, {"name": "gaussian_noise", "std": 0.0, "p": 1.0}), GRAY)


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_a_blur_equals_that_of_torchvision(kernel: int) -> None:
    images, sigma = pictures()[:20], 1.3
    options = {"sigma": [sigma, sigma], "kernel": kernel, "p": 1.0}
    blurred = augmented(images, {"name": "gaussian_blur", **options})
    expected = functional.gaussian_blur(images.float(), [kernel] * 2, [sigma] * 2)
    assert (blurred - expected).abs().max() <= 0.51
