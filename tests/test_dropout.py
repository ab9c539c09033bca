"""Dropout on CPUs drops at its rate, keeps the mean, and draws anew from its seed alone."""

import pytest
import torch
from torch import Tensor

from cifar_dist.dropout import VectorDropout

SHAPE = (100, 32, 16, 16)


def dropped(rate: float, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    torch.manual_seed(seed)
    found: Tensor = VectorDropout(rate)(torch.ones(SHAPE, dtype=dtype))
    return found


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_it_drops_at_its_rate_and_scales_what_it_keeps(rate: float, dtype: torch.dtype) -> None:
    found = dropped(rate, dtype=dtype)
    assert found.dtype == dtype
    assert (found == 0).float().mean().item() == pytest.approx(rate, abs=0.004)
    kept = found[found != 0]
    assert kept.double().mean().item() == pytest.approx(1 / (1 - rate), rel=0.005)
    assert kept.min() == kept.max()


def test_masks_vary_between_images_and_places_as_independent_draws_do() -> None:
    zeros = (dropped(0.2) == 0).double()
    for across, count in (((2, 3), 256), ((0,), 100), ((0, 2, 3), 25_600)):
        variance = zeros.mean(across).var().item()
        assert variance == pytest.approx(0.2 * 0.8 / count, rel=0.6)
    shifted = (zeros[..., 1:] - 0.2) * (zeros[..., :-1] - 0.2)
    assert abs(shifted.mean().item()) < 0.16 * 0.01


def test_a_seed_draws_the_same_masks_whatever_the_number_of_threads() -> None:
    before, first = torch.get_num_threads(), dropped(0.3)
    try:
        torch.set_num_threads(1)
        assert torch.equal(dropped(0.3), first)
    finally:
        torch.set_num_threads(before)
    assert not torch.equal(dropped(0.3, seed=1), first)


def test_one_pass_draws_anew_for_each_layer() -> None:
    torch.manual_seed(0)
    layer, images = VectorDropout(0.5), torch.ones(SHAPE)
    agreement = ((layer(images) == 0) == (layer(images) == 0)).float().mean().item()
    assert agreement == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_gradients_pass_where_activations_passed(memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    images = torch.ones(SHAPE).contiguous(memory_format=memory_format).requires_grad_()
    found = VectorDropout(0.25)(images)
    weights = torch.rand(SHAPE)
    torch.autograd.backward((found * weights).sum())
    assert images.grad is not None
    assert torch.equal(images.grad, weights * (1 / 0.75) * (found != 0))


def test_a_part_of_a_larger_tensor_is_dropped_as_a_whole_one() -> None:
    torch.manual_seed(0)
    whole = torch.ones(64, 512)
    found = VectorDropout(0.5)(whole[:, ::2])
    assert torch.equal(whole, torch.ones(64, 512))
    assert (found == 0).float().mean().item() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("rate", [0.0, 0.999999])
def test_the_ends_of_the_range_stay_finite(rate: float) -> None:
    assert torch.isfinite(dropped(rate)).all()


def test_an_evaluated_layer_passes_its_images_on() -> None:
    images = torch.ones(SHAPE)
    assert VectorDropout(0.5).eval()(images) is images
