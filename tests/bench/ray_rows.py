"""What Ray costs: an epoch under Ray Train, a trial's start, and trials of several workers."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cifar_dist.machine import owned_cpus
from cifar_dist.search import Space
from tests.bench.ray_child import Child, require
from tests.bench.ray_epochs import RANKS, Epochs
from tests.bench.rounds import Row, Setting, Side
from tests.bench.sweep_rows import stock
from tests.bench.sweep_space import configurations

_TORCHRUN = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={RANKS}")
_NESTED_TRIALS = 6
_MINUTE = 60.0

Told = Sequence[Mapping[str, Any]]
"""How trials ended, in that order."""


def _ray(setting: Setting) -> Side:
    require("ray")
    return Epochs("tests.bench.ray_epochs:under_ray", setting)


def _loop(setting: Setting) -> Side:
    return Epochs("tests.bench.ray_epochs:without_ray", setting, _TORCHRUN)


def _script(setting: Setting) -> Side:
    return Epochs("tests.bench.ray_plain:train", setting, _TORCHRUN)


def tiny_space(setting: Setting, trials: int, **placement: Any) -> Space:
    """Give a sweep of trials so short that little but their start and end is left of them."""
    recipe = {
        "data": "synthetic",
        "seed": setting.seed,
        "model": {"name": "lenet5"},
        "augmentation": [{"name": "classic"}],
        "optimizer": {"name": "sgd", "lr": 0.01, "nesterov": False},
        "schedule": {"name": "constant"},
        "epochs": 1,
        "batch_size": 128,
        "label_smoothing": 0.0,
    }
    # As a component, in the words of the frozen space.
    rates = [{"name": "sgd", "lr": 0.001 * n, "nesterov": False} for n in range(1, trials + 1)]
    searched = {
        "recipe.model": {"choice": [{"name": "lenet5"}, {"name": "lenet5", "dropout": 0.1}]},
        "recipe.optimizer": {"choice": rates},
    }
    return Space.parse(
        {
            "description": "tiny trials",
            "job": {"recipe": recipe, "placement": placement},
            "trials": trials,
            "space": searched,
        }
    )


def start_seconds(ended: Told, slots: int) -> list[float]:
    """Give seconds from a slot that a trial's end left to the first step of the trial after it.

    Slots are equal, so the nth end makes room for the nth trial of those that had to wait.
    """
    ends = sorted(trial["ended_at"] for trial in ended)
    steps = sorted(trial["first_step_at"] for trial in ended)[slots:]
    return [step - end for end, step in zip(ends, steps, strict=False)]


def told_seconds(rows: Told, slots: int) -> list[float]:
    """Give the same as our ledger has it: of all trials but the first of each slot."""
    found = {row["trial"]: row["start_seconds"] for row in rows}
    return [found[number] for number in sorted(found)[slots:] if found[number] is not None]


def per_minute(ended: Told) -> float:
    """Trials that end in a minute once the first did."""
    ends: list[float] = sorted(trial["ended_at"] for trial in ended)
    return (len(ends) - 1) * _MINUTE / (ends[-1] - ends[0])


def _swept(entry: str, given: dict[str, Any], figure: Callable[[Told], float]) -> Side:
    def side() -> float:
        child = Child(entry, given)
        try:
            ended = [line for line in child.lines() if "trial" in line]
            child.check()
        finally:
            child.end()
        return figure(ended)

    return side


def _starts(concurrency: int | None) -> Callable[[Setting], tuple[Side, Side]]:
    def sides(setting: Setting) -> tuple[Side, Side]:
        require("ray", "albumentations")
        slots = concurrency or owned_cpus()
        trials = (3 if setting.smoke else 8) * slots
        space = tiny_space(setting, trials, concurrency=slots)
        peer = stock(space, configurations(space, setting.seed), "fifo")
        peer["cpus"] = owned_cpus() // slots
        return (
            _swept(
                "tests.bench.sweep_ours:sweep",
                {"space": space.model_dump(mode="json")},
                lambda ended: statistics.median(told_seconds(ended, slots)),
            ),
            _swept(
                "tests.bench.sweep_stock:sweep",
                peer,
                lambda ended: statistics.median(start_seconds(ended, slots)),
            ),
        )

    return sides


def _nested(
    ours: Callable[[Told], float], reference: Callable[[Told], float]
) -> Callable[[Setting], tuple[Side, Side]]:
    def sides(setting: Setting) -> tuple[Side, Side]:
        require("ray", "albumentations")
        trials = 3 if setting.smoke else _NESTED_TRIALS
        space = tiny_space(setting, trials, workers=RANKS, concurrency=1)
        recipe = space.job.recipe
        peer = {
            "workers": RANKS,
            "trials": trials,
            "data": recipe.data,
            "epochs": recipe.epochs,
            "batch_size": recipe.batch_size,
        }
        given = {"space": space.model_dump(mode="json")}
        return (
            _swept("tests.bench.sweep_ours:sweep", given, ours),
            _swept("tests.bench.ray_nested:sweep", peer, reference),
        )

    return sides


def _of_epochs(name: str, what: str, goal: str, *build: Callable[[Setting], Side]) -> Row:
    ours, reference = build
    return Row(
        name,
        f"CPU-seconds of an epoch {what}",
        "CPU-seconds",
        goal,
        lambda setting: (ours(setting), reference(setting)),
        higher_is_better=False,
        is_long=True,
        rounds=10,
    )


ROWS = [
    _of_epochs("ray_train", "of `train --workers 2` ÷ torchrun's script", "<= 1.03", _ray, _script),
    _of_epochs("ray_share", "under Ray Train ÷ of the same session by torchrun", "", _ray, _loop),
    _of_epochs("ray_without", "of our session by torchrun ÷ torchrun's script", "", _loop, _script),
    Row(
        "ray_start_one",
        "a slot's end to the next trial's first step, one trial at a time ÷ stock Tune",
        "s",
        "",
        _starts(1),
        higher_is_better=False,
        is_long=True,
        absolute_goal="<= 0.2",
    ),
    Row(
        "ray_start",
        "the same with a trial on every CPU",
        "s",
        "",
        _starts(None),
        higher_is_better=False,
        is_long=True,
        absolute_goal="<= 0.2",
    ),
    Row(
        "ray_nested_start",
        "a slot's end to the next trial's first step, trials of two workers ÷ stock Tune and Train",
        "s",
        "",
        _nested(
            lambda ended: statistics.median(told_seconds(ended, 1)),
            lambda ended: statistics.median(start_seconds(ended, 1)),
        ),
        higher_is_better=False,
        is_long=True,
    ),
    Row(
        "ray_nested",
        "trials of two workers that end in a minute ÷ stock Tune and Train",
        "trials/minute",
        "",
        _nested(per_minute, per_minute),
        is_long=True,
    ),
]
