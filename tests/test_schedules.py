"""Schedules are what torch's are, as functions of progress and of validation losses alone."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from cifar_dist.errors import ConfigError
from cifar_dist.optim import SCHEDULES, factor
from tests.tiny import make_job

STEPS = 40
FALLING = [1 - 0.01 * epoch for epoch in range(STEPS)]
LOSSES = {
    "falling": FALLING,
    "level": [1.0] * STEPS,
    "rising": FALLING[::-1],
    "waves": [1 + 0.1 * (epoch % 7) - 0.02 * (epoch % 5) for epoch in range(STEPS)],
    "noise": torch.rand(STEPS, generator=torch.Generator().manual_seed(0)).tolist(),
    "within the threshold": [1 - 1e-5 * epoch for epoch in range(STEPS)],
}

every_schedule = pytest.mark.parametrize("name", SCHEDULES.names)


def factors(name: str, warmup: int = 0, **options: Any) -> list[float]:
    schedule = SCHEDULES.build({"name": name, **options})
    return [factor(schedule, step, STEPS, warmup) for step in range(STEPS)]


def factors_of_torch(scheduler: type[lr_scheduler.LRScheduler], **options: Any) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = scheduler(optimizer, **options)
    found = []
    for _ in range(STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()
    return found


def plateau_of_torch(losses: Sequence[float], **options: Any) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = lr_scheduler.ReduceLROnPlateau(optimizer, **options)
    found = [1.0]
    for loss in losses:
        reference.step(loss)
        found.append(optimizer.param_groups[0]["lr"])
    return found


@every_schedule
def test_every_schedule_peaks_at_the_base_rate_and_stays_positive(name: str) -> None:
    found = factors(name)
    assert max(found) == pytest.approx(1)
    assert min(found) > 0


@every_schedule
def test_a_warm_up_rises_to_any_schedule_which_then_runs_over_the_rest(name: str) -> None:
    warmup, schedule = 10, SCHEDULES.build({"name": name})
    found = factors(name, warmup)
    rises = [after - before for before, after in itertools.pairwise(found[:warmup])]
    assert found[0] == pytest.approx(schedule(0.0, ()) / (warmup + 1))
    assert rises == pytest.approx([found[0]] * (warmup - 1))
    assert found[warmup:] == [factor(schedule, step, STEPS - warmup) for step in range(30)]


@pytest.mark.parametrize("name", sorted(set(SCHEDULES.names) - {"plateau"}))
def test_only_plateau_looks_at_losses(name: str) -> None:
    schedule = SCHEDULES.build({"name": name})
    assert schedule(0.7, ()) == schedule(0.7, LOSSES["level"])


def test_constant_stays() -> None:
    assert factors("constant") == [1.0] * STEPS


def test_linear_equals_torch() -> None:
    reference = factors_of_torch(
        lr_scheduler.LinearLR, start_factor=1.0, end_factor=0.1, total_iters=STEPS
    )
    assert factors("linear", final=0.1) == pytest.approx(reference)


@pytest.mark.parametrize("power", [0.9, 1.0, 3.0])
def test_polynomial_equals_torch(power: float) -> None:
    reference = factors_of_torch(lr_scheduler.PolynomialLR, total_iters=STEPS, power=power)
    assert factors("polynomial", power=power) == pytest.approx(reference)


def test_polynomial_of_power_one_is_linear() -> None:
    options = {"final": 0.2}
    assert factors("polynomial", power=1.0, **options) == pytest.approx(
        factors("linear", **options)
    )


def test_exponential_equals_torch() -> None:
    reference = factors_of_torch(lr_scheduler.ExponentialLR, gamma=0.01 ** (1 / STEPS))
    assert factors("exponential", final=0.01) == pytest.approx(reference)


@pytest.mark.parametrize("epochs", [4, 12, 20])
def test_step_equals_torch(epochs: int) -> None:
    reference = factors_of_torch(lr_scheduler.StepLR, step_size=epochs, gamma=0.5)
    assert factors("step", size=epochs / STEPS, gamma=0.5) == pytest.approx(reference)


def test_a_step_falls_where_its_multiples_are_despite_rounding() -> None:
    schedule = SCHEDULES.build({"name": "step", "size": 0.1, "gamma": 0.5})
    assert [schedule(epoch / 10, ()) for epoch in range(10)] == [0.5**n for n in range(10)]


def test_multi_step_equals_torch() -> None:
    reference = factors_of_torch(lr_scheduler.MultiStepLR, milestones=[8, 28], gamma=0.2)
    assert factors("multi_step", milestones=[0.2, 0.7], gamma=0.2) == pytest.approx(reference)


def test_cosine_equals_torch() -> None:
    reference = factors_of_torch(lr_scheduler.CosineAnnealingLR, T_max=STEPS, eta_min=0.1)
    assert factors("cosine", final=0.1) == pytest.approx(reference)


@pytest.mark.parametrize(("cycles", "multiplier", "first"), [(4, 1, 10), (2, 3, 10), (1, 5, 40)])
def test_cosine_restarts_equals_torch(cycles: int, multiplier: int, first: int) -> None:
    reference = factors_of_torch(
        lr_scheduler.CosineAnnealingWarmRestarts, T_0=first, T_mult=multiplier, eta_min=0.1
    )
    found = factors("cosine_restarts", cycles=cycles, multiplier=float(multiplier), final=0.1)
    assert found == pytest.approx(reference)


def test_cycles_that_do_not_fall_on_steps_fill_the_run() -> None:
    found = factors("cosine_restarts", cycles=3, multiplier=2.0)
    rises = [step for step in range(1, STEPS) if found[step] > found[step - 1]]
    assert rises == [6, 18]  # one and three sevenths of 40 steps, rounded up
    assert found[-1] < 0.01


def test_one_cycle_equals_torch() -> None:
    # Torch ends its cycle on the last step and ours just behind it, hence one step more there.
    reference = factors_of_torch(
        lr_scheduler.OneCycleLR,
        max_lr=1.0,
        total_steps=STEPS + 1,
        pct_start=(0.3 * STEPS + 1) / (STEPS + 1),
        cycle_momentum=False,
    )
    assert factors("one_cycle") == pytest.approx(reference)


@pytest.mark.parametrize("losses", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize(
    "options",
    [
        {"factor": 0.1, "patience": 0},
        {"factor": 0.5, "patience": 2, "cooldown": 3},
        {"factor": 0.3, "patience": 4, "threshold": 0.05, "cooldown": 1},
        {"factor": 0.9, "patience": 1, "min_factor": 0.6},
    ],
)
def test_plateau_equals_torch_after_every_epoch(
    losses: list[float], options: dict[str, Any]
) -> None:
    schedule = SCHEDULES.build({"name": "plateau", **options})
    found = [schedule(epoch / STEPS, losses[:epoch]) for epoch in range(STEPS + 1)]
    of_torch = {("min_lr" if key == "min_factor" else key): v for key, v in options.items()}
    assert found == plateau_of_torch(losses, **of_torch)


def test_plateau_without_validation_images_is_refused_in_one_sentence() -> None:
    with pytest.raises(ConfigError, match="validation_fraction=0 leaves none; set it above 0"):
        make_job(recipe__schedule={"name": "plateau"}, recipe__validation_fraction=0.0)
