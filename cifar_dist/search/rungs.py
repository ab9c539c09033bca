"""Where ASHA decides about a trial, and how long the trainings are that lead there."""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

from cifar_dist import seeds

if TYPE_CHECKING:
    from cifar_dist.search.space import Asha, Space


@dataclass(frozen=True)
class Rungs:
    """The rungs of a sweep, in epochs; all of it follows from a trial's number and the seed."""

    asha: "Asha | None"
    epochs: int
    """The most that a trial may have."""
    seed: int = 0

    @cached_property
    def all(self) -> tuple[int, ...]:
        """The grace, and each reduction factor further; empty without ASHA."""
        found: list[int] = []
        rung = self.asha.grace_epochs if self.asha else self.epochs
        while self.asha and rung < self.epochs:
            found.append(rung)
            rung *= self.asha.reduction_factor
        return tuple(found)

    def of(self, trial: int) -> tuple[int, ...]:
        """Give those where a trial is decided about."""
        return self.all[self.bracket(trial) :]

    def bracket(self, trial: int) -> int:
        """Give how many rungs a trial skips: so often that each bracket has about equal epochs.

        The base job skips none.
        """
        if self.asha is None or self.asha.brackets == 1 or trial == 0:
            return 0
        shares = [self.asha.reduction_factor**-skipped for skipped in range(self.asha.brackets)]
        *bounds, total = accumulate(shares)
        return bisect(bounds, total * (seeds.derive(self.seed, "bracket", trial) >> 10) / 2**53)

    def restarts(self, trial: int) -> tuple[int, ...]:
        """Give those that a trial reaches by a training of their own; empty if it goes on."""
        return self.of(trial) if self.asha is not None and self.asha.rungs == "restart" else ()


def trainings(rungs: Sequence[int], epochs: int) -> tuple[int, ...]:
    """Give the lengths of complete trainings: one for each rung that is shorter, and the whole."""
    return (*(rung for rung in rungs if rung < epochs), epochs)


def rungs_of(space: "Space") -> Rungs:
    """Give the rungs of a space, of which some trials may have fewer epochs."""
    searched = [v.parameter for v in space.tree.variables if v.name.startswith("recipe.epochs")]
    values = [value for parameter in searched for value in parameter.values]
    longest = max(space.job.recipe.epochs, *(v for v in values if isinstance(v, int)), 1)
    return Rungs(space.asha, longest, space.job.recipe.seed)
