"""The parameters of a space as variables that depend on each other, and what they add up to."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice, repeat
from typing import Any

from cifar_dist.search.options import filled, taken
from cifar_dist.search.parameters import Parameter, Pick

_MOST_BRANCHES = 10_000

Picks = dict[str, Pick]
"""The pick of each active variable, by its name."""


@dataclass(frozen=True)
class Variable:
    """One independent draw: a searched path, or a parameter inside an option of a choice."""

    name: str
    """Names its random stream; its place in the space file."""
    parameter: Parameter
    needs: Mapping[str, frozenset[Pick]]
    """Other variables and the picks of theirs that this one needs, all at once, to be active."""
    beside: str | None = None
    """The variable that chooses the component of which this is an option."""

    def is_active(self, picks: Picks) -> bool:
        """Say whether the picks of the variables before it let this one vary."""
        return all(picks.get(name) in allowed for name, allowed in self.needs.items())


class Tree:
    """A space's variables, each after those that it needs; `paths` are those that a job has."""

    def __init__(self, variables: Iterable[Variable], paths: Iterable[str]) -> None:
        self.variables = tuple(variables)
        self.paths = tuple(paths)
        self._by_name = {variable.name: variable for variable in self.variables}

    def __getitem__(self, name: str) -> Variable:
        return self._by_name[name]

    def is_inert(self, variable: Variable) -> bool:
        """Say whether it can never vary because a fixed field of the job has another value."""
        return any(
            name not in self._by_name or self.is_inert(self._by_name[name])
            for name in variable.needs
        )

    def completed(self, choose: Callable[[Variable], Pick]) -> Picks:
        """Pick for one variable after the other, as far as they are active."""
        picks: Picks = {}
        for variable in self.variables:
            if variable.is_active(picks):
                picks[variable.name] = choose(variable)
        return picks

    def overrides(self, picks: Picks) -> dict[str, Any]:
        """Give what picks change in the base job; what is not active does not occur."""
        values: dict[str, Any] = {}
        for variable in reversed(self.variables):  # what lies inside an option comes after it
            name = variable.name
            if name in picks:
                value = variable.parameter.value(picks[name])
                values[name] = filled(value, f"{name}.choice.{picks[name]}", values)
        return {path: values[path] for path in self.paths if path in values}

    def key(self, picks: Picks) -> str:
        """Give what is equal for equal configurations."""
        return key(self.overrides(picks))

    def picks(self, overrides: Mapping[str, Any]) -> Picks:
        """Find the picks that gave these overrides; a value that none gives is left out."""
        values = dict(overrides)
        picks: Picks = {}
        for variable in self.variables:
            if variable.name not in values or not variable.is_active(picks):
                continue
            value = values[variable.name]
            if variable.parameter.choice is None:
                pick = variable.parameter.pick(value)
            else:
                pick, inside = self._chosen(variable, value)
                values.update(inside)
            if pick is not None:
                picks[variable.name] = pick
        return picks

    @cached_property
    def size(self) -> float:
        """Number of configurations; infinite with a real number among them.

        A lower bound where conditions branch more than ten thousand ways.
        """
        branches = walk(self.variables, self._classes)
        return sum(weight for _, weight in islice(branches, _MOST_BRANCHES + 1))

    def points(self) -> Iterator[Picks]:
        """Give every configuration of a finite tree, the last variable moving fastest."""
        for picks, _ in walk(self.variables, _each_point):
            yield picks

    def ancestors(self, variable: Variable) -> list[Variable]:
        """Give, in order, what decides whether a variable is active or valid."""
        wanted: set[str] = set()
        open_names = [*variable.needs, variable.beside or ""]
        while open_names:
            name = open_names.pop()
            if name in self._by_name and name not in wanted:
                wanted.add(name)
                open_names += [*self._by_name[name].needs, self._by_name[name].beside or ""]
        return [other for other in self.variables if other.name in wanted]

    def decisive(self, variable: Variable) -> list[Pick]:
        """Give the picks at which something may change: its ends and what others need."""
        return sorted({*variable.parameter.ends, *self._needed.get(variable.name, ())})

    def _chosen(self, variable: Variable, value: object) -> tuple[Pick | None, dict[str, Any]]:
        """Find the option that gave a value, and the values in place of its parameters."""
        for index, option in enumerate(variable.parameter.choice or ()):
            inside = taken(option, value, f"{variable.name}.choice.{index}")
            if inside is not None and all(self._fits(*item) for item in inside.items()):
                return index, inside
        return None, {}

    def _fits(self, name: str, value: Any) -> bool:
        parameter = self._by_name[name].parameter
        return parameter.choice is not None or parameter.pick(value) is not None

    @cached_property
    def _needed(self) -> dict[str, set[Pick]]:
        found: dict[str, set[Pick]] = {}
        for name, allowed in chain.from_iterable(v.needs.items() for v in self.variables):
            found.setdefault(name, set()).update(allowed)
        return found

    def _classes(self, variable: Variable) -> Iterator[tuple[Pick, float]]:
        """Give one pick for all that nothing else tells apart, and how many they are."""
        named = self._needed.get(variable.name, set())
        yield from zip(sorted(named), repeat(1))
        count = variable.parameter.count
        rest = math.inf if count is None else count - len(named)
        if rest:
            yield next(pick for pick in range(len(named) + 1) if pick not in named), rest


def walk(
    variables: Sequence[Variable],
    options: Callable[[Variable], Iterable[tuple[Pick, float]]],
    picks: Picks | None = None,
) -> Iterator[tuple[Picks, float]]:
    """Combine the options, each a pick and its weight, of what is active; weights multiply."""
    picks = picks or {}
    if not variables:
        yield picks, 1
        return
    first, others = variables[0], variables[1:]
    if not first.is_active(picks):
        yield from walk(others, options, picks)
        return
    for pick, weight in options(first):
        for found, more in walk(others, options, {**picks, first.name: pick}):
            yield found, weight * more


def _each_point(variable: Variable) -> Iterator[tuple[Pick, float]]:
    return zip(range(variable.parameter.count or 0), repeat(1))


def key(overrides: Mapping[str, Any]) -> str:
    """Give what is equal for equal configurations."""
    return json.dumps(overrides, sort_keys=True)
