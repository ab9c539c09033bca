"""Random configurations, and what samplers that learn are told about trials."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cifar_dist import seeds
from cifar_dist.search.tree import Picks, Tree

_REDRAWS = 100  # before the first configuration that is left is taken


@dataclass(frozen=True)
class Observation:
    """What is known of a trial that was started."""

    trial: int
    overrides: Mapping[str, Any]
    state: Literal["running", "finished", "pruned", "failed"]
    values: Mapping[int, float] = field(default_factory=dict)
    """Epoch to validation accuracy, as far as it got."""
    score: float | None = None
    """What the sweep ranks a finished trial by; None takes its last epoch's value."""


class Draws:
    """Random configurations, pure in seed and number; none comes twice while others are left."""

    def __init__(self, tree: Tree, own: str | None = None) -> None:
        """`own` is the key of the base job's configuration, if it lies in the space."""
        self._tree, self._own = tree, own
        self._known: dict[int, tuple[list[Picks], set[str]]] = {}

    def picks(self, trial: int, seed: int) -> Picks:
        """Give the draw of a trial, counted from 1."""
        drawn, taken = self._known.setdefault(seed, ([], set()))
        while len(drawn) < trial:
            picks = fresh(self._tree, len(drawn) + 1, seed, taken, self._own)
            drawn.append(picks)
            taken.add(self._tree.key(picks))
        return drawn[trial - 1]


def fresh(
    tree: Tree, trial: int, seed: int, taken: Collection[str], own: str | None = None
) -> Picks:
    """Draw for a trial until it is none of those that are taken, unless all are.

    The base job's own configuration is tried as trial 0, so it comes after all others.
    """
    picks = first = _drawn(tree, trial, seed)
    for again in range(1, _REDRAWS):
        if (name := tree.key(picks)) not in taken and name != own:
            return picks
        if len(taken) >= tree.size:
            return first
        picks = _drawn(tree, trial, seed, again)
    left = [point for point in tree.points() if tree.key(point) not in taken]
    return next((point for point in left if tree.key(point) != own), left[0] if left else first)


def _drawn(tree: Tree, trial: int, seed: int, *again: int) -> Picks:
    # One stream per variable, so that one more leaves the draws of the others alone.
    return tree.completed(
        lambda variable: variable.parameter.draw(
            (seeds.derive(seed, "trial", trial, variable.name, *again) >> 10) / 2**53
        )
    )
