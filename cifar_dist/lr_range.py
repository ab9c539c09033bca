"""The learning-rate range test: a short training whose rate rises until it diverges.

Leslie Smith, "Cyclical Learning Rates for Training Neural Networks" (2017). The suggestion is the
rate at which the loss falls fastest, but at most a tenth of that at which training diverges.
"""

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from cifar_dist.config import Component, Job, Recipe
from cifar_dist.data import permutation
from cifar_dist.device import device_for, device_name
from cifar_dist.documents import LrRangeDocument, LrRow
from cifar_dist.errors import RunError
from cifar_dist.learner import Learner
from cifar_dist.machine import owned_cpus
from cifar_dist.optim import Schedule
from cifar_dist.precision import Arithmetic
from cifar_dist.probe import probe
from cifar_dist.session import recipe_data

_LOWEST, _HIGHEST = 1e-6, 10.0
_STEPS = 100
_NEIGHBORS = 3  # steps on each side that a loss is smoothed over
_HOPELESS = 4.0  # times the lowest loss: the test ends here


def find_lr(job: Job, steps: int = _STEPS) -> LrRangeDocument:
    """Train a job's model for some steps at rising rates, in this process, and forget it again.

    All parameter groups rise together; rates are of the first. Raises DataError, DeviceError.
    """
    torch.set_num_threads(owned_cpus())
    dataset, device = recipe_data(job), device_for(job.placement)
    precision = probe(job.recipe, dataset.train, device)["name"]
    learner = Learner(_bare(job.recipe), dataset.train, Arithmetic(precision, device))
    ratio = (_HIGHEST / _LOWEST) ** (1 / (steps - 1))
    rates = [_LOWEST * ratio**step for step in range(steps)]
    losses = list(_losses(learner, rates))
    if not losses:
        raise RunError(f"the loss is not finite at a learning rate of {_LOWEST:g}; check the data")
    smoothed = [_mean_around(losses, index) for index in range(len(losses))]
    steepest = rates[_steepest(smoothed)]
    divergence = _divergence(rates, smoothed)
    return LrRangeDocument(
        job=job.model_dump(mode="json"),
        data=dataset.facts(),
        parameters=learner.parameters,
        precision=precision,
        device=device_name(device),
        rows=[
            LrRow(lr=lr, loss=loss, smoothed_loss=mean)
            for lr, loss, mean in zip(rates, losses, smoothed, strict=False)
        ],
        steepest_lr=steepest,
        divergence_lr=divergence,
        suggested_lr=steepest if divergence is None else min(steepest, divergence / 10),
    )


def _bare(recipe: Recipe) -> Recipe:
    # An average would follow a rising rate from behind, and a warm-up has its own.
    return recipe.model_copy(update={"warmup_epochs": 0.0, "averaging": Component(name="none")})


def _losses(learner: Learner, rates: Sequence[float]) -> Iterator[float]:
    """Take a step at each rate and give its loss, until it is hopeless or not finite."""
    base, lowest = learner.optimizer.param_groups[0]["initial_lr"], math.inf
    for rate, batch in zip(rates, _batches(learner), strict=False):
        learner.schedule = _fixed(rate / base)
        before = learner.tally[0].item()
        learner.advance(batch)
        loss = (learner.tally[0].item() - before) / len(batch)
        if not math.isfinite(loss):
            return
        yield loss
        lowest = min(lowest, loss)
        if loss > _HOPELESS * lowest:
            return


def _batches(learner: Learner) -> Iterator[Tensor]:
    recipe = learner.recipe
    for epoch in itertools.count():
        order = permutation(len(learner.labels), recipe.seed, epoch)
        yield from torch.split(order, recipe.batch_size)


def _fixed(factor: float) -> Schedule:
    return lambda progress, losses: factor


def _mean_around(losses: Sequence[float], index: int) -> float:
    near = losses[max(index - _NEIGHBORS, 0) : index + _NEIGHBORS + 1]
    return sum(near) / len(near)


def _lowest(smoothed: Sequence[float]) -> int:
    return min(range(len(smoothed)), key=smoothed.__getitem__)


def _steepest(smoothed: Sequence[float]) -> int:
    def slope(index: int) -> float:
        left, right = max(index - _NEIGHBORS, 0), min(index + _NEIGHBORS, len(smoothed) - 1)
        return (smoothed[right] - smoothed[left]) / max(right - left, 1)

    return min(range(_lowest(smoothed) + 1), key=slope)


def _divergence(rates: Sequence[float], smoothed: Sequence[float]) -> float | None:
    """Give the first rate behind the lowest loss with one above the untrained model's."""
    for index in range(_lowest(smoothed), len(smoothed)):
        if smoothed[index] > smoothed[0]:
            return rates[index]
    # The steps taken are fewer than the rates: the next one's loss was not finite.
    return rates[len(smoothed)] if len(smoothed) < len(rates) else None
