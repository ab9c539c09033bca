"""Schedules: pure functions of progress, so that nothing has to be saved to resume one."""

import math
from collections.abc import Callable
from typing import Annotated

from pydantic import Field
from torch.optim import Optimizer

from cifar_dist.registry import Registry

Schedule = Callable[[float], float]
"""Progress through the run, from 0 up to but not including 1, to a factor of the base rate."""

SCHEDULES: Registry[Schedule] = Registry("schedule")

Fraction = Annotated[float, Field(ge=0, le=1)]
Inner = Annotated[float, Field(gt=0, lt=1)]
Divisor = Annotated[float, Field(ge=1, le=1e9)]
Milestones = Annotated[tuple[Inner, ...], Field(min_length=1, max_length=16)]


def factor(schedule: Schedule, step: int, total_steps: int, warmup_steps: int = 0) -> float:
    """Give what multiplies every base learning rate at `step`, counted from 0 of `total_steps`.

    The warm-up rises linearly to the schedule's first value; the schedule then has all steps left.
    """
    if step < warmup_steps:
        return schedule(0.0) * (step + 1) / (warmup_steps + 1)
    return schedule((step - warmup_steps) / (total_steps - warmup_steps))


def set_lr(optimizer: Optimizer, factor: float) -> None:
    """Scale every group's `initial_lr`; groups keep their ratio."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


@SCHEDULES.register
def constant() -> Schedule:
    """Keep the base learning rate."""
    return lambda progress: 1.0


@SCHEDULES.register
def linear(final: Fraction = 0.0) -> Schedule:
    """Fall in a straight line to the fraction `final` of the base rate."""
    return lambda progress: 1 + (final - 1) * progress


@SCHEDULES.register
def cosine(final: Fraction = 0.0) -> Schedule:
    """Fall along half a cosine to the fraction `final` (Loshchilov & Hutter, 2017)."""
    return lambda progress: _eased(1.0, final, progress)


@SCHEDULES.register
def step(milestones: Milestones = (0.5, 0.75), gamma: Fraction = 0.1) -> Schedule:
    """Multiply by `gamma` at each milestone, a fraction of the run: 0.2 is epoch 10 of 50."""
    return lambda progress: gamma ** sum(progress >= milestone for milestone in milestones)


@SCHEDULES.register
def one_cycle(
    pct_start: Inner = 0.3, div_factor: Divisor = 25.0, final_div_factor: Divisor = 1e4
) -> Schedule:
    """Rise from 1/div_factor to the base rate, then fall by a further final_div_factor.

    Both halves are cosines and the options are torch's (Smith & Topin, 2018).
    """
    first, last = 1 / div_factor, 1 / (div_factor * final_div_factor)

    def cycle(progress: float) -> float:
        if progress < pct_start:
            return _eased(first, 1.0, progress / pct_start)
        return _eased(1.0, last, (progress - pct_start) / (1 - pct_start))

    return cycle


def _eased(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
