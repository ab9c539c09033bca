"""Averages of the weights over time; where there is one, the average is the model.

Running statistics of batch norms are averaged like the weights that they belong to: computed anew
they would cost a pass over the training images at every evaluation.
"""

from collections.abc import Callable, Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from cifar_dist.registry import Registry

Averaging = Callable[["Pair", int], None]
"""What is done to a pair after a number of finished steps."""

AVERAGINGS: Registry[Averaging | None] = Registry("averaging")

Every = Annotated[int, Field(ge=1, le=10_000)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(gt=0, le=1)]


class Pair:
    """The tensors of two copies of a model: of the average, and of the one in training."""

    def __init__(self, average: nn.Module, trained: nn.Module) -> None:
        pairs = list(zip(_tensors(average), _tensors(trained), strict=True))
        moving = [(mine, other) for mine, other in pairs if mine.is_floating_point()]
        self._average, self._trained = ([pair[side] for pair in moving] for side in (0, 1))
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def approach(self, share: float) -> None:
        """Move the average by a share of its distance to the weights in training."""
        torch._foreach_lerp_(self._average, self._trained, share)
        for mine, other in self._counters:
            mine.copy_(other)

    @torch.no_grad()
    def restart(self) -> None:
        """Set the weights in training back to the average."""
        torch._foreach_copy_(self._trained, self._average)


@AVERAGINGS.register
def none() -> Averaging | None:
    """Keep the weights of the last step."""
    return None


@AVERAGINGS.register
def ema(decay: Decay = 0.99, every: Every = 5) -> Averaging:
    """Average exponentially: a step keeps the share `decay` of what was there before it.

    Early steps keep less, (1 + step) / (10 + step), so that the initial weights are soon forgotten
    (as in TensorFlow's ExponentialMovingAverage). `every` saves time and does not change the pace.
    """

    def average(pair: Pair, step: int) -> None:
        if step < every:  # a run that ends here has learned, too
            pair.approach(1.0)
        elif step % every == 0:
            pair.approach(1 - min(decay, (1 + step) / (10 + step)) ** every)

    return average


@AVERAGINGS.register
def lookahead(every: Every = 5, alpha: Share = 0.8) -> Averaging:
    """Every so many steps, move slow weights by `alpha` to the fast ones, which go on from there.

    The slow weights are the model (Zhang, Lucas, Ba & Hinton, "Lookahead Optimizer", 2019).
    """

    def average(pair: Pair, step: int) -> None:
        if step % every == 0:
            pair.approach(alpha)
            pair.restart()

    return average


def _tensors(model: nn.Module) -> Sequence[Tensor]:
    return [*model.parameters(), *model.buffers()]
