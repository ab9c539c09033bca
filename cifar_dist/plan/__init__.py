"""The cost of a sweep or a training before it is spent: a few timed steps, and what follows."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from cifar_dist.config import Job, Recipe
from cifar_dist.data import Dataset
from cifar_dist.device import device_for, device_name, usable_gpus
from cifar_dist.documents.plan import PlanDocument
from cifar_dist.machine import owned_cpus
from cifar_dist.plan import cost
from cifar_dist.plan.combinations import Combination, combinations, cost_of, label
from cifar_dist.plan.cost import Layout, Probed
from cifar_dist.plan.measure import Measured, as_a_trial, measure
from cifar_dist.plan.room import Room, fits, room_here
from cifar_dist.plan.scaling import GIGABITS, LATENCY_SECONDS, scaling
from cifar_dist.precision import Arithmetic
from cifar_dist.probe import probe
from cifar_dist.report.formats import counted
from cifar_dist.search import Budget, Space
from cifar_dist.search.expectation import Expectation, Range, Stage, expected
from cifar_dist.session import recipe_data

__all__ = ["GIGABITS", "Bench", "Plan", "plan"]

STEPS = 20
"""At most, of each combination."""
_STEPS_OF_A_CANDIDATE = 4
_MOST = 6  # combinations that are timed
_FAILED = 2
_QUIET = 0.8  # of the time of the CPUs that steps computed on


@dataclass(frozen=True)
class Plan:
    """What is to be planned: a sweep, or one training without a space."""

    job: Job
    space: Space | None = None
    gigabits: float = GIGABITS


class Bench:
    """Times a recipe's steps on this machine; a plan takes any other one in its place."""

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self._dataset, self._device = dataset, device

    def verdict(self, recipe: Recipe) -> dict[str, Any]:
        """Choose the arithmetic as the sweep would."""
        return probe(recipe, self._dataset.train, self._device)

    def measure(self, recipe: Recipe, precision: str, steps: int) -> Measured:
        """Take so many steps."""
        return measure(recipe, self._dataset, Arithmetic(precision, self._device), steps)


def plan(
    asked: Plan, bench: Callable[[Dataset, torch.device], Bench] = Bench, room: Room | None = None
) -> PlanDocument:
    """Time a few steps and say what follows. Raises ConfigError, DataError, DeviceError."""
    started, job, space = time.monotonic(), asked.job, asked.space
    device = device_for(job.placement)
    room = room or room_here(job)
    dataset = recipe_data(job)
    layout = _layout(asked, dataset, device)
    with as_a_trial(_threads(layout), _others(layout)):
        verdict, probed = _probed(bench(dataset, device), asked)
    figures = _figures(asked, layout, probed, room)
    return PlanDocument(
        name=job.title,
        kind="sweep" if space else "run",
        source=job.recipe.data,
        train_images=layout.train_images,
        validation_images=layout.validation_images,
        measured_on=_machine(),
        device=device_name(device),
        precision=verdict["name"],
        precision_reason=verdict["reason"],
        threads=_threads(layout),
        trials=space.count if space else 1,
        slots=layout.slots,
        workers=layout.workers,
        gigabits_per_second=asked.gigabits,
        assumptions=[*_disturbed(probed), *_assumptions(asked, layout)],
        exit_code=_FAILED if any(row.verdict == "failed" for row in figures["fits"]) else 0,
        seconds=time.monotonic() - started,
        **figures,
    )


def _figures(asked: Plan, layout: Layout, probed: list[Probed], room: Room) -> dict[str, Any]:
    """Work out all that follows from what was timed."""
    space, placement = asked.space, asked.job.placement
    trials, budget = (space.count, space.budget) if space else (1, Budget())
    models = [cost.planned_model(each, layout) for each in probed]
    expectation = _expectation(asked.job, space)
    totals = cost.planned_totals(expectation, models, trials, layout, placement)
    basis = cost.alone(probed[0], layout)
    several = layout.workers > 1
    return {
        "models": models,
        "stages": cost.planned_stages(expectation, models),
        "totals": totals,
        "fits": fits(room, layout, models, totals, budget),
        "scaling": scaling(basis, layout.workers, layout.gigabits) if several else [],
    }


def _probed(bench: Bench, asked: Plan) -> tuple[dict[str, Any], list[Probed]]:
    """Time each combination; the base job's steps that chose the arithmetic count, too."""
    base = asked.job.recipe
    verdict = bench.verdict(base)
    left = STEPS - _STEPS_OF_A_CANDIDATE * len(verdict["milliseconds"])
    chosen = [Combination(base, label(base), 1.0)]
    if asked.space is not None:
        chosen = combinations(asked.space, _MOST)
    own = cost_of(base)
    found = []
    for each in chosen:
        steps = left if cost_of(each.recipe) == own else STEPS
        found.append(Probed(each, bench.measure(each.recipe, verdict["name"], steps)))
    return verdict, found


def _layout(asked: Plan, dataset: Dataset, device: torch.device) -> Layout:
    """Place trials as the sweep would on this machine, or as many workers as asked for on paper."""
    placement, is_cuda = asked.job.placement, device.type == "cuda"
    own = owned_cpus()
    is_alone = asked.space is None and not placement.workers and not is_cuda
    cpus = placement.cpus_per_worker or (float(own) if is_alone else 1.0)
    gpus = placement.gpus_per_worker if placement.gpus_per_worker is not None else 1.0
    visible = usable_gpus() if is_cuda and asked.space is None else 1
    workers = placement.workers or max(1, visible)
    room = own / cpus
    if is_cuda and gpus:
        room = min(room, usable_gpus() / gpus)
    count = int(room + 1e-6) // workers
    slots = placement.concurrency or max(1, count)
    if count and "RAY_ADDRESS" not in os.environ:
        slots = min(slots, count)  # what is more is lowered by the sweep, too
    slots = min(slots, asked.space.count) if asked.space else 1
    return Layout(
        slots=slots,
        workers=workers,
        cpus=cpus,
        gpus=gpus if is_cuda else 0.0,
        gigabits=asked.gigabits,
        train_images=len(dataset.train),
        validation_images=len(dataset.validation) if dataset.validation else 0,
        start_seconds=cost.ALONE_START_SECONDS if is_alone else cost.RAY_START_SECONDS,
    )


def _threads(layout: Layout) -> int:
    return max(1, min(int(layout.cpus), owned_cpus()))


def _others(layout: Layout) -> int:
    """Count the trials that compute on this machine's CPUs beside the one that is timed."""
    here = min(layout.slots, int(owned_cpus() / layout.cpus))
    return 0 if layout.gpus else max(0, here - 1)


def _expectation(job: Job, space: Space | None) -> Expectation:
    if space is not None:
        return expected(space)
    epochs = job.recipe.epochs
    whole, one = Range(epochs, epochs, epochs), Range(1, 1, 1)
    return Expectation((Stage(epochs, one, whole),), whole, epochs)


def _disturbed(probed: list[Probed]) -> list[str]:
    share = min(each.measured.cpu_share for each in probed)
    if share > _QUIET:
        return []
    return [
        f"The machine stays as busy as it was: other work left this process only {share:.0%} of "
        "its CPUs' time while it timed steps; plan again when it is quiet."
    ]


def _assumptions(asked: Plan, layout: Layout) -> list[str]:
    others = counted(_others(layout), "thread")
    found = [
        f"Starting takes {layout.start_seconds:g} s, a trial {cost.TRIAL_START_SECONDS:g} s more, "
        f"test images and report {cost.END_SECONDS:g} s.",
        f"Steps were timed beside {others} of other work, as there will be trials; further load "
        "on this machine would slow all of them.",
    ]
    if asked.space is not None and asked.space.asha is not None:
        found.append(
            "ASHA was played through with made-up results in random order; a sampler that learns "
            "lets more trials go on, failing ones fewer."
        )
    if asked.space is not None and _is_roomy(asked, layout):
        found.append(
            "Each trial has one CPU; with fewer trials than CPUs the sweep may find that more are "
            "faster."
        )
    if layout.workers > 1:
        found.append(
            f"An estimate on paper, not a measurement: the step of one worker shared out over "
            f"{layout.workers}, and gradients added up in a ring over {layout.gigabits:g} Gbit/s "
            f"(--gigabits) with {LATENCY_SECONDS * 1e6:g} µs a message, none of it hidden."
        )
    return found


def _is_roomy(asked: Plan, layout: Layout) -> bool:
    trials = asked.space.count if asked.space else 1
    is_open = asked.job.placement.cpus_per_worker is None and not layout.gpus
    return is_open and layout.workers == 1 and trials < owned_cpus()


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    kind = names[0] if names else platform.machine()
    gpus = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{kind}, {owned_cpus()} CPUs{gpus}, torch {version('torch')}"
