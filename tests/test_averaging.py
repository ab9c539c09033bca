"""Averages of weights: each rule as written down, and one pace whatever its interval."""

import copy
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from cifar_dist.optim import AVERAGINGS, Averaging, Pair


def built(name: str, **options: float) -> Averaging:
    averaging = AVERAGINGS.build({"name": name, **options})
    assert averaging is not None
    return averaging


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(
        memory_format=torch.channels_last
    )


def floats(model: nn.Module) -> Tensor:
    return torch.cat([t.flatten() for t in model.state_dict().values() if t.is_floating_point()])


def followed(averaging: Averaging, steps: int) -> tuple[list[Tensor], list[Tensor]]:
    """Give the average and the trained weights at every step; training draws anew each time."""
    trained = net()
    average = copy.deepcopy(trained)
    pair, seen = Pair(average, trained), [(floats(average), floats(trained))]
    generator = torch.Generator().manual_seed(1)
    for step in range(1, steps + 1):
        for tensor in trained.state_dict().values():
            if tensor.is_floating_point():
                tensor += torch.randn(tensor.shape, generator=generator)
        averaging(pair, step)
        seen.append((floats(average), floats(trained)))
    averages, weights = zip(*seen, strict=True)
    return list(averages), list(weights)


def test_none_is_no_average_at_all() -> None:
    assert AVERAGINGS.build({"name": "none"}) is None


def test_an_exponential_average_keeps_its_decay_of_weights_and_statistics() -> None:
    averages, weights = followed(built("ema", decay=0.3, every=1), 8)
    for step, (before, after) in enumerate(pairwise(averages), start=1):
        decay = min(0.3, (1 + step) / (10 + step))
        assert torch.allclose(after, decay * before + (1 - decay) * weights[step], atol=1e-5)


def test_an_exponential_average_every_few_steps_keeps_as_much_in_all() -> None:
    averages, weights = followed(built("ema", decay=0.3, every=2), 8)
    assert torch.equal(averages[7], averages[6])
    expected = 0.3**2 * averages[6] + (1 - 0.3**2) * weights[8]
    assert torch.allclose(averages[8], expected, atol=1e-5)


def test_an_exponential_average_that_has_not_begun_is_the_weights_in_training() -> None:
    averages, weights = followed(built("ema", every=5), 4)
    assert all(torch.equal(*pair) for pair in zip(averages, weights, strict=True))


def test_a_counter_is_taken_over_as_it_is() -> None:
    average, trained = net(), net()
    trained[1].num_batches_tracked += 7
    Pair(average, trained).approach(0.1)
    assert average[1].num_batches_tracked == 7


def test_early_steps_forget_the_initial_weights() -> None:
    averages, _ = followed(built("ema", decay=0.999, every=1), 1)
    start = net()
    assert (averages[1] - floats(start)).norm() > 0.5


def test_lookahead_moves_slow_weights_and_restarts_the_fast_ones_from_there() -> None:
    averages, weights = followed(built("lookahead", every=4, alpha=0.5), 8)
    assert all(torch.equal(averages[step], averages[0]) for step in range(4))
    assert not torch.equal(weights[3], averages[3])
    for step in (4, 8):
        assert torch.equal(averages[step], weights[step])
    assert not torch.equal(averages[8], averages[4])


def test_lookahead_goes_its_share_of_the_way() -> None:
    half, _ = followed(built("lookahead", every=4, alpha=0.5), 4)
    whole, _ = followed(built("lookahead", every=4, alpha=1.0), 4)
    assert torch.allclose(half[4], (half[0] + whole[4]) / 2, atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(AVERAGINGS.names) - {"none"}))
def test_an_average_of_weights_that_stand_still_stands_still(name: str) -> None:
    trained = net()
    average = copy.deepcopy(trained)
    before = floats(trained)
    for step in range(1, 11):
        built(name)(Pair(average, trained), step)
    assert torch.equal(floats(average), before)
    assert torch.equal(floats(trained), before)
