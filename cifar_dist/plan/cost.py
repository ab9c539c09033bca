"""From a few timed steps to the cost of a whole sweep: arithmetic on what was measured."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cifar_dist.config import Placement
from cifar_dist.documents.plan import PlannedModel, PlannedStage, PlannedTotal
from cifar_dist.plan.combinations import Combination
from cifar_dist.plan.measure import Measured
from cifar_dist.plan.scaling import Alone, scaled
from cifar_dist.search.expectation import Expectation, Range

TRIAL_START_SECONDS = 0.2
"""Slot free to first step, in a warm worker: assumed."""
RAY_START_SECONDS = 10.0
"""Ray and its first workers: assumed."""
ALONE_START_SECONDS = 1.0
"""A training in the driver's own process: assumed."""
END_SECONDS = 5.0
"""The test images and the report: assumed."""
KEPT_CHECKPOINTS = 4
"""At most, of a trial: the newest three and the best."""
_LEAST_SPREAD = 0.1  # steps of a quiet moment say too little about an hour
_OUTSIDE = 0.1  # of the timed steps, on either side
_HOUR = 3600


@dataclass(frozen=True)
class Layout:
    """Where trials run, and how many images each of their epochs has."""

    slots: int
    workers: int
    """Of a trial."""
    cpus: float
    """Of a worker."""
    gpus: float
    """Of a worker."""
    gigabits: float
    """Per second between workers."""
    train_images: int
    validation_images: int
    start_seconds: float = RAY_START_SECONDS


@dataclass(frozen=True)
class Probed:
    """A combination with what it was measured to need."""

    combination: Combination
    measured: Measured


def alone(probed: Probed, layout: Layout) -> Alone:
    """Give what one worker needs, as a basis for more of them."""
    measured, recipe = probed.measured, probed.combination.recipe
    return Alone(
        step_seconds=statistics.median(measured.step_seconds),
        batch_size=min(recipe.batch_size, layout.train_images),
        gradient_bytes=measured.gradient_bytes,
        norms=measured.norms if recipe.batch_norm == "synchronized" else 0,
        epoch_images=layout.train_images,
        evaluation_seconds=measured.evaluation_seconds * layout.validation_images,
    )


def planned_model(probed: Probed, layout: Layout) -> PlannedModel:
    """Give a combination's row; its epoch is that of all workers of a trial together."""
    measured, combination = probed.measured, probed.combination
    basis = alone(probed, layout)
    steps = _steps(measured.step_seconds)
    epochs = [
        scaled(replace(basis, step_seconds=step), layout.workers, layout.gigabits).epoch_seconds
        for step in (steps.mean, steps.low, steps.high)
    ]
    return PlannedModel(
        label=combination.label,
        model=combination.recipe.model.name,
        parameters=measured.parameters,
        batch_size=combination.recipe.batch_size,
        share_ratio=combination.share,
        stands_for=list(combination.stands_for),
        steps_timed=len(measured.step_seconds),
        step_seconds=steps.mean,
        step_seconds_low=steps.low,
        step_seconds_high=steps.high,
        images_per_second=basis.batch_size / steps.mean,
        epoch_seconds=epochs[0],
        epoch_seconds_low=epochs[1],
        epoch_seconds_high=epochs[2],
        memory_bytes=measured.memory_bytes,
        gpu_memory_bytes=measured.gpu_memory_bytes,
        gradient_bytes=measured.gradient_bytes,
        checkpoint_bytes=measured.checkpoint_bytes,
    )


def planned_stages(expectation: Expectation, models: Sequence[PlannedModel]) -> list[PlannedStage]:
    """Give the stages with the seconds that their trials hold slots for."""
    epoch = _epoch(models).mean
    return [
        PlannedStage(
            until_epoch=stage.until_epoch,
            trials_expected=stage.trials.mean,
            trials_low=stage.trials.low,
            trials_high=stage.trials.high,
            epochs_expected=stage.epochs.mean,
            epochs_low=stage.epochs.low,
            epochs_high=stage.epochs.high,
            trial_seconds_expected=stage.epochs.mean * epoch,
        )
        for stage in expectation.stages
    ]


def planned_totals(
    expectation: Expectation,
    models: Sequence[PlannedModel],
    trials: int,
    layout: Layout,
    placement: Placement,
) -> list[PlannedTotal]:
    """Give the whole: epochs, seconds, hours, money as far as it has a price, and bytes."""
    epoch, epochs, starts = _epoch(models), expectation.epochs, trials * TRIAL_START_SECONDS
    held = PlannedTotal(
        name="trial_seconds",
        expected=epochs.mean * epoch.mean + starts,
        low=epochs.low * epoch.low + starts,
        high=epochs.high * epoch.high + starts,
        most=expectation.most_epochs * epoch.high + starts,
    )
    cpus = _times(held, "cpu_hours", layout.cpus * layout.workers / _HOUR)
    gpus = _times(held, "gpu_hours", layout.gpus * layout.workers / _HOUR)
    rows = [
        PlannedTotal(
            name="epochs",
            expected=epochs.mean,
            low=epochs.low,
            high=epochs.high,
            most=expectation.most_epochs,
        ),
        held,
        _wall(held, epoch, expectation.most_epochs / trials, layout),
        cpus,
        *([gpus] if layout.gpus else []),
    ]
    priced = [
        _times(hours, "cost", price)
        for hours, price in ((cpus, placement.cpu_hour_price), (gpus, placement.gpu_hour_price))
        if price is not None
    ]
    rows += [_sum(priced)] if priced else []
    return [*rows, _kept(models, trials, epochs.mean)]


def _steps(seconds: Sequence[float]) -> Range:
    """Give the median step between its fast and its slow tenth, a tenth apart at the least."""
    ordered, middle = sorted(seconds), statistics.median(seconds)
    outside = math.floor(_OUTSIDE * len(ordered))
    low = min(ordered[outside], middle * (1 - _LEAST_SPREAD))
    return Range(middle, low, max(ordered[-1 - outside], middle * (1 + _LEAST_SPREAD)))


def _epoch(models: Sequence[PlannedModel]) -> Range:
    """Give the seconds of a mean trial's epoch."""
    return Range(
        sum(model.share_ratio * model.epoch_seconds for model in models),
        sum(model.share_ratio * model.epoch_seconds_low for model in models),
        sum(model.share_ratio * model.epoch_seconds_high for model in models),
    )


def _wall(held: PlannedTotal, epoch: Range, epochs: float, layout: Layout) -> PlannedTotal:
    """Share trials out over slots, of which all but one are idle during some part of the last."""
    outside, slots = layout.start_seconds + END_SECONDS, layout.slots
    last = (1 - 1 / slots) * epochs
    return PlannedTotal(
        name="wall_seconds",
        expected=outside + held.expected / slots + last * epoch.mean / 2,
        low=outside / 2 + max(held.low / slots, epochs * epoch.low),
        high=outside * 2 + held.high / slots + last * epoch.high,
        most=outside * 2 + held.most / slots + last * epoch.high,
    )


def _kept(models: Sequence[PlannedModel], trials: int, epochs: float) -> PlannedTotal:
    mean = sum(model.share_ratio * model.checkpoint_bytes for model in models)
    largest = max(model.checkpoint_bytes for model in models)
    expected = trials * mean * min(KEPT_CHECKPOINTS, max(1.0, epochs / trials))
    most = trials * largest * KEPT_CHECKPOINTS
    return PlannedTotal(
        name="checkpoint_bytes", expected=expected, low=trials * mean, high=most, most=most
    )


def _times(row: PlannedTotal, name: str, factor: float) -> PlannedTotal:
    return PlannedTotal(
        name=name,
        expected=row.expected * factor,
        low=row.low * factor,
        high=row.high * factor,
        most=row.most * factor,
    )


def _sum(rows: Sequence[PlannedTotal]) -> PlannedTotal:
    return PlannedTotal(
        name=rows[0].name,
        expected=sum(row.expected for row in rows),
        low=sum(row.low for row in rows),
        high=sum(row.high for row in rows),
        most=sum(row.most for row in rows),
    )
