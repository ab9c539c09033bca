"""Schedules: pure functions of how far a run is, so that nothing has to be saved to resume one."""

import math
from bisect import bisect
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Annotated

from pydantic import Field

from cifar_dist.registry import Registry

Schedule = Callable[[float, Sequence[float]], float]
"""Progress through the run, from 0 up to but not including 1, and the validation losses of the
epochs finished so far, to a factor of the base rate."""

SCHEDULES: Registry[Schedule] = Registry("schedule")

Fraction = Annotated[float, Field(ge=0, le=1)]
Inner = Annotated[float, Field(gt=0, lt=1)]
Size = Annotated[float, Field(ge=1e-4, lt=1)]
Positive = Annotated[float, Field(gt=0, le=1)]
Power = Annotated[float, Field(gt=0, le=100)]
Divisor = Annotated[float, Field(ge=1, le=1e9)]
Milestones = Annotated[tuple[Inner, ...], Field(min_length=1, max_length=16)]
Cycles = Annotated[int, Field(ge=1, le=100)]
Growth = Annotated[float, Field(ge=1, le=10)]
Epochs = Annotated[int, Field(ge=0, le=10_000)]

_ROUNDING = 1e-9  # of the run: 0.3 / 0.1 must count as 3
_LEAST = 1e-8  # a smaller fall is none, as in torch


def factor(
    schedule: Schedule,
    step: int,
    total_steps: int,
    warmup_steps: int = 0,
    losses: Sequence[float] = (),
) -> float:
    """Give what multiplies every base learning rate at `step`, counted from 0 of `total_steps`.

    The warm-up rises linearly to the schedule's first value; the schedule then has all steps left
    and sees the validation losses of epochs that had no warm-up in them.
    """
    if step < warmup_steps:
        return schedule(0.0, ()) * (step + 1) / (warmup_steps + 1)
    return schedule((step - warmup_steps) / (total_steps - warmup_steps), losses)


@SCHEDULES.register
def constant() -> Schedule:
    """Keep the base learning rate."""
    return lambda progress, losses: 1.0


@SCHEDULES.register
def linear(final: Fraction = 0.0) -> Schedule:
    """Fall in a straight line to the fraction `final` of the base rate."""
    return lambda progress, losses: 1 + (final - 1) * progress


@SCHEDULES.register
def polynomial(power: Power = 2.0, final: Fraction = 0.0) -> Schedule:
    """Fall to the fraction `final` of the base rate as a power of what is left of the run."""
    return lambda progress, losses: final + (1 - final) * (1 - progress) ** power


@SCHEDULES.register
def exponential(final: Positive = 0.01) -> Schedule:
    """Fall by the same ratio at every step, to the fraction `final` of the base rate."""
    return lambda progress, losses: final**progress


@SCHEDULES.register
def step(size: Size = 0.3, gamma: Fraction = 0.1) -> Schedule:
    """Multiply by `gamma` after every `size`, a fraction of the run: 0.2 is 10 epochs of 50."""
    return lambda progress, losses: gamma ** math.floor(progress / size + _ROUNDING)


@SCHEDULES.register
def multi_step(milestones: Milestones = (0.5, 0.75), gamma: Fraction = 0.1) -> Schedule:
    """Multiply by `gamma` at each milestone, a fraction of the run: 0.2 is epoch 10 of 50."""
    return lambda progress, losses: gamma ** sum(progress >= milestone for milestone in milestones)


@SCHEDULES.register
def cosine(final: Fraction = 0.0) -> Schedule:
    """Fall along half a cosine to the fraction `final` (Loshchilov & Hutter, 2017)."""
    return lambda progress, losses: _eased(1.0, final, progress)


@SCHEDULES.register
def cosine_restarts(
    cycles: Cycles = 3, multiplier: Growth = 2.0, final: Fraction = 0.0
) -> Schedule:
    """Fall along half a cosine in each of some cycles, which grow and together fill the run.

    SGDR (Loshchilov & Hutter, 2017); each cycle is `multiplier` times as long as the one before.
    """
    ends = list(accumulate(multiplier**cycle for cycle in range(cycles)))
    bounds = [0.0, *(end / ends[-1] for end in ends)]

    def cycle(progress: float, losses: Sequence[float]) -> float:
        index = bisect(bounds, progress + _ROUNDING, hi=cycles)
        start, end = bounds[index - 1], bounds[index]
        return _eased(1.0, final, max(progress - start, 0.0) / (end - start))

    return cycle


@SCHEDULES.register
def one_cycle(
    pct_start: Inner = 0.3, div_factor: Divisor = 25.0, final_div_factor: Divisor = 1e4
) -> Schedule:
    """Rise from 1/div_factor to the base rate, then fall by a further final_div_factor.

    Both halves are cosines and the options are torch's (Smith & Topin, 2018).
    """
    first, last = 1 / div_factor, 1 / (div_factor * final_div_factor)

    def cycle(progress: float, losses: Sequence[float]) -> float:
        if progress < pct_start:
            return _eased(first, 1.0, progress / pct_start)
        return _eased(1.0, last, (progress - pct_start) / (1 - pct_start))

    return cycle


@SCHEDULES.register
def plateau(
    factor: Inner = 0.2,
    patience: Epochs = 2,
    threshold: Fraction = 1e-4,
    min_factor: Fraction = 0.0,
    cooldown: Epochs = 0,
) -> Schedule:
    """Multiply by `factor` after more than `patience` epochs without a lower validation loss.

    Lower means by the share `threshold` at least; epochs of a cooldown after each fall are not
    held against it. The rules are those of torch's ReduceLROnPlateau.
    """

    def reduced(progress: float, losses: Sequence[float]) -> float:
        now, best, bad, cooling = 1.0, math.inf, 0, 0
        for loss in losses:
            is_better = loss < best * (1 - threshold)
            best = loss if is_better else best
            bad = 0 if is_better or cooling else bad + 1
            cooling = max(cooling - 1, 0)
            if bad > patience:
                lower = max(now * factor, min_factor)
                now = lower if now - lower > _LEAST else now
                bad, cooling = 0, cooldown
        return now

    return reduced


def _eased(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
