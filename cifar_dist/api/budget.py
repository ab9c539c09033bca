"""What a sweep may spend: priced, raised for one that its budget ended, and told of."""

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cifar_dist.runs import Goal, Sweep
    from cifar_dist.search import Space


def check_priced(space: "Space") -> None:
    """Raise ConfigError for a budget of money where nothing has a price."""
    from cifar_dist.spending import Prices

    placement = space.job.placement
    Prices(placement.cpu_hour_price, placement.gpu_hour_price).check_budget(space.budget.cost)


def allowed(space: "Space", goal: "Goal") -> "Space":
    """Give a stored sweep's space the budget that it was given last."""
    return space if goal.budget is None else space.allowed(goal.budget)


def allow(sweep: "Sweep", space: "Space") -> None:
    """Let a sweep that is not finished, or that its budget ended, go on under the space's budget.

    One that its budget ended is left as it is if it spent that much, too. What all attempts spent
    counts, but for what an extension with trials began with.
    """
    from cifar_dist.search import Space

    goal, result, asked = sweep.goal, sweep.finished, space.budget
    before = allowed(Space.parse(sweep.document["space"]), goal).budget
    if asked == before or (result is not None and not result.get("ended_by")):
        return
    if result is not None and _is_exhausted(sweep, space):
        return
    trials, budget = goal.trials or space.count, asked.model_dump(mode="json")
    number = goal.extension + 1
    sweep.extend(replace(goal, extension=number, trials=trials, budget=budget))


def _is_exhausted(sweep: "Sweep", space: "Space") -> bool:
    from cifar_dist.cluster.tune import allowance
    from cifar_dist.spending import Spent
    from cifar_dist.tally import Tally

    tally = Tally(sweep.events())
    spent = Spent(tally.wall_seconds, tally.cpu_seconds, tally.gpu_seconds)
    return allowance(space, sweep.goal).exhausted(spent) is not None


def ended_note(name: str, ended_by: str | None) -> str:
    """Say of a sweep that has its result how it goes on."""
    if ended_by is not None:
        return (
            f"sweep {name} ended as {ended_by}; this is its result "
            f"(`cifar-dist resume {name} --max-hours N` goes on under a larger budget)"
        )
    return (
        f"sweep {name} is finished; this is its result (--extend adds trials, --fresh runs it "
        "again)"
    )
