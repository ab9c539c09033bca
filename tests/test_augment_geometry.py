"""The one way to resample images, held against OpenCV and against pictures that are easy to say."""

import pytest
import torch
from torch import Tensor

from cifar_dist.augment.geometry import affine, warp
from tests.pictures import augmented, pictures

OPENCV = {"reflect": 4, "constant": 0}


def draw(n: int) -> Tensor:
    return torch.rand(n, 6, generator=torch.Generator().manual_seed(0))


def by_opencv(image: Tensor, draws: list[float], fill: str) -> Tensor:
    """Shift by up to 0.2 of the side, scale by 1 ± 0.4 and turn by up to 45°."""
    import albumentations.augmentations.geometric.functional as library

    x, y, wide, high, angle = (2 * u - 1 for u in draws)
    matrix = library.create_affine_transformation_matrix(
        {"x": int(6.4 * x), "y": int(6.4 * y)},
        {"x": 0.0, "y": 0.0},
        {"x": 1 + 0.4 * wide, "y": 1 + 0.4 * high},
        45 * angle,
        library.center((32, 32)),
    )
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    result = library.warp_affine(pixels, matrix, 1, 0, OPENCV[fill], (32, 32))
    return torch.from_numpy(result).permute(2, 0, 1)


@pytest.mark.parametrize("fill", ["reflect", "constant"])
def test_the_same_draws_move_a_picture_as_the_library_moves_it(fill: str) -> None:
    images, draws = pictures()[:100], draw(100)
    ours = affine(0.2, 0.4, 45.0, fill, p=1.0)(images.clone(), draws, 0)
    for image, row, result in zip(images, draws.tolist(), ours, strict=True):
        apart = (result.int() - by_opencv(image, row[1:], fill).int()).abs()
        # OpenCV rounds origins to 1/32 of a pixel.
        assert apart.float().mean() < 0.7
        assert apart.max() <= 12


def test_a_quarter_turn_is_counterclockwise_and_exact() -> None:
    images = pictures()[:10]
    quarter = (torch.zeros(10), -torch.ones(10), 0, torch.ones(10), torch.zeros(10), 0)
    assert torch.equal(warp(images, quarter, "reflect"), images.rot90(1, (2, 3)))


def test_the_identity_changes_no_level() -> None:
    assert torch.equal(warp(pictures()[:50], (1, 0, 0, 0, 1, 0), "constant"), pictures()[:50])


def test_a_reflection_does_not_repeat_the_edge() -> None:
    ramp = torch.arange(32, dtype=torch.uint8).expand(1, 3, 32, 32)
    shifted = warp(ramp, (1, 0, -3, 0, 1, 0), "reflect")
    assert shifted[0, 0, 0].tolist() == [3, 2, 1, *range(29)]


def test_what_lies_beyond_a_constant_edge_is_black() -> None:
    white = torch.full((1, 3, 32, 32), 255, dtype=torch.uint8)
    shifted = warp(white, (1, 0, 0, 0, 1, 2.5), "constant")
    assert shifted[0, 0, :, 0].tolist() == [255] * 29 + [128, 0, 0]


def test_shifts_are_whole_pixels_cut_toward_zero() -> None:
    bright = torch.zeros(2000, 3, 32, 32, dtype=torch.uint8)
    bright[:, :, 16, 16] = 255
    shifted = augmented(bright, {"name": "translate", "shift": 0.0625, "fill": "constant"})
    assert set(shifted.unique().tolist()) == {0, 255}
    y, x = shifted[:, 0].nonzero()[:, 1:].unbind(1)
    for place in (y, x):
        shares = place.bincount(minlength=18)[15:18] / len(bright)
        assert torch.allclose(shares, torch.tensor([0.25, 0.5, 0.25]), atol=0.04)


def test_angles_are_even_from_one_limit_to_the_other() -> None:
    bright = torch.zeros(2000, 3, 32, 32, dtype=torch.uint8)
    bright[:, :, 15:17, 30] = 255  # 14.5 pixels right of the middle
    turned = augmented(bright, {"name": "rotate", "degrees": 30.0, "p": 1.0, "fill": "constant"})
    weights = turned[:, 0].double()
    line = torch.arange(32) - 15.5
    y, x = (weights * line[:, None]).sum((1, 2)), (weights * line).sum((1, 2))
    degrees = torch.atan2(y, x).rad2deg()
    assert degrees.abs().max() == pytest.approx(30, abs=0.5)
    assert float(degrees.mean()) == pytest.approx(0, abs=4 * 17.3 / 2000**0.5)
    assert float(degrees.std()) == pytest.approx(60 / 12**0.5, rel=0.05)
