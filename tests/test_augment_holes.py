"""Where rectangles lie, how large they are, and what covers them."""

import math

import pytest
import torch
from torch import Tensor

from tests.pictures import augmented

N = 2000
BLACK = torch.zeros(N, 3, 32, 32, dtype=torch.uint8)


def covered(**component: object) -> Tensor:
    """Say which pixels of black images are covered: bool [n, 32, 32]."""
    return (augmented(BLACK, {"p": 1.0, **component}) != 0).any(1)


def sides(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Measure the one rectangle of each image: heights and widths."""
    heights, widths = mask.any(2).sum(1), mask.any(1).sum(1)
    assert torch.equal(mask.flatten(1).sum(1), heights * widths)
    return heights, widths


def test_one_hole_of_one_size_lies_wholly_inside_and_anywhere() -> None:
    mask = covered(name="coarse_dropout", holes=[1, 1], size=[16, 16])
    heights, widths = sides(mask)
    assert (heights == 16).all()
    assert (widths == 16).all()
    tops = mask.any(2).to(torch.uint8).argmax(1)
    shares = tops.bincount(minlength=17) / N
    assert torch.allclose(shares, torch.full((17,), 1 / 17), atol=4 * (1 / 17 / N) ** 0.5)


def test_sides_are_even_between_the_two_sizes_in_either_order() -> None:
    for size in ([4, 7], [7, 4]):
        for lengths in sides(covered(name="coarse_dropout", holes=[1, 1], size=size)):
            shares = lengths.bincount(minlength=8)[4:] / N
            assert torch.allclose(shares, torch.full((4,), 0.25), atol=0.04)


def test_the_number_of_holes_is_even_between_two_numbers() -> None:
    # Holes of a pixel seldom meet.
    count = covered(name="coarse_dropout", holes=[2, 5], size=[1, 1]).flatten(1).sum(1)
    assert int(count.max()) == 5
    assert float(count.float().mean()) == pytest.approx(3.5, abs=0.12)


def test_random_erasing_covers_areas_evenly_between_its_limits() -> None:
    mask = covered(name="random_erasing", area=[0.1, 0.2], aspect=[1.0, 1.0], fill="mean")
    heights, widths = sides(mask)
    assert torch.equal(heights, widths)
    assert (int(heights.min()), int(heights.max())) == (10, 14)
    assert float((heights * widths).float().mean() / 1024) == pytest.approx(0.15, abs=0.004)


def test_the_aspect_of_random_erasing_is_even_on_a_logarithmic_scale() -> None:
    heights, widths = sides(covered(name="random_erasing", area=[0.1, 0.1], fill="mean"))
    logs = (heights / widths).log()
    assert float(logs.mean()) == pytest.approx(0, abs=0.08)
    assert float(logs.std()) == pytest.approx(2 * math.log(3.3) / 12**0.5, rel=0.06)


@pytest.mark.parametrize("name", ["coarse_dropout", "random_erasing", "cutout"])
def test_rectangles_reach_every_edge(name: str) -> None:
    mask = covered(name=name)
    for line in (mask[:, 0], mask[:, -1], mask[:, :, 0], mask[:, :, -1]):
        assert 0.02 < float(line.any(1).float().mean()) < 0.6


def test_a_rectangle_that_never_fits_covers_nothing() -> None:
    assert not covered(name="random_erasing", area=[1.0, 1.0], aspect=[10.0, 10.0]).any()


def test_random_content_is_even_over_all_levels_and_independent_between_channels() -> None:
    erased = augmented(BLACK, {"name": "random_erasing", "area": [0.5, 0.5], "p": 1.0})
    mask = (erased != 0).any(1)
    levels = erased.movedim(1, -1)[mask]
    shares = levels.flatten().bincount(minlength=256) / levels.numel()
    assert torch.allclose(shares[1:], torch.full((255,), 1 / 256), atol=1.5e-4)
    channels = levels[:20_000].double().T.corrcoef()
    assert (channels - torch.eye(3)).abs().max() < 0.04
