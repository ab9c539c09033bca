"""How many trials ASHA is expected to let go on, before any has run: its rule on random values."""

import math
import random
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from cifar_dist.search.rungs import Rungs, rungs_of, trainings

if TYPE_CHECKING:
    from cifar_dist.search.space import Space

_SWEEPS = 200
_FEWEST = 5
_TRIALS = 200_000  # of all made-up sweeps together
_KNOWN = 512  # trials whose epochs are looked up; the others are like them
_NOISE = 0.1  # between a trial's values at two rungs; its quality is spread evenly over 0 to 1
_OUTSIDE = 0.025  # of the made-up sweeps, on either side of an interval


@dataclass(frozen=True)
class Range:
    """An expected number with the interval in which 95 % lie."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Stage:
    """What trials train between two decisions of ASHA."""

    until_epoch: int
    """Where it ends: a rung, or the end of a trial."""
    trials: Range
    epochs: Range
    """Of all trials together; with restarted rungs a stage is a whole training."""


@dataclass(frozen=True)
class Expectation:
    """What a sweep is expected to train, if its results come in random order."""

    stages: tuple[Stage, ...]
    epochs: Range
    """Of the whole sweep."""
    most_epochs: int
    """If every trial beat all before it, so that none were stopped."""


def expected(space: "Space", trials: int | None = None) -> Expectation:
    """Play a sweep through with made-up results; `trials` in place of the space's own number."""
    count, rungs = trials or space.count, rungs_of(space)
    base = space.job.recipe.epochs
    known = [
        int(each.get("recipe.epochs", base))
        for each in space.preview(_KNOWN, space.job.recipe.seed)
    ]
    lengths = [known[trial % len(known)] for trial in range(count)]
    chance = random.Random(0)
    sweeps = max(_FEWEST, min(_SWEEPS, _TRIALS // count))
    played = [_played(rungs, lengths, chance) for _ in range(sweeps)]
    ends = sorted({end for sweep in played for end in sweep})
    stages = tuple(
        Stage(
            end,
            _range([sweep[end][0] if end in sweep else 0 for sweep in played]),
            _range([sweep[end][1] if end in sweep else 0 for sweep in played]),
        )
        for end in ends
    )
    totals = [sum(epochs for _, epochs in sweep.values()) for sweep in played]
    most = sum(sum(_trained(rungs, trial, length)) for trial, length in enumerate(lengths))
    return Expectation(stages, _range(totals), most)


def _played(
    rungs: Rungs, lengths: Sequence[int], chance: random.Random
) -> dict[int, tuple[int, int]]:
    """Give, for one sweep, by where a stage ends: its trials and all their epochs."""
    found: dict[int, tuple[int, int]] = {}
    told: dict[tuple[int, int], list[float]] = {}
    for trial, length in enumerate(lengths):
        quality, bracket = chance.random(), rungs.bracket(trial)
        ends = trainings(rungs.of(trial), length)
        for end, epochs in zip(ends, _trained(rungs, trial, length), strict=True):
            trials, before = found.get(end, (0, 0))
            found[end] = trials + 1, before + epochs
            values = told.setdefault((bracket, end), [])
            value = quality + chance.gauss(0.0, _NOISE)
            goes_on = not values or value >= _cutoff(values, rungs)
            if end < length:
                insort(values, value)
            if not goes_on:
                break
    return found


def _trained(rungs: Rungs, trial: int, length: int) -> list[int]:
    """Give the epochs of a trial in each stage, should it reach all."""
    ends = trainings(rungs.of(trial), length)
    if rungs.restarts(trial):
        return list(ends)
    return [end - begin for begin, end in zip((0, *ends), ends, strict=False)]


def _cutoff(values: Sequence[float], rungs: Rungs) -> float:
    """Give ASHA's bound: the (1 - 1/factor) quantile of those before, linearly interpolated."""
    factor = rungs.asha.reduction_factor if rungs.asha else 1
    place = (1 - 1 / factor) * (len(values) - 1)
    below = math.floor(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)


def _range(numbers: Sequence[int]) -> Range:
    ordered = sorted(numbers)
    outside = math.floor(_OUTSIDE * len(ordered))
    return Range(fmean(ordered), ordered[outside], ordered[-1 - outside])
