"""What `when` refers to: other parameters of a space, or fields that its job fixes."""

from collections.abc import Mapping, Sequence
from typing import Any

from cifar_dist.config import Job, patched
from cifar_dist.errors import ConfigError
from cifar_dist.problems import shown
from cifar_dist.search.parameters import Parameter, Pick, identity

Needs = dict[str, frozenset[Pick]]


class Conditions:
    """Turns the conditions of one parameter into the picks of others that it needs."""

    def __init__(self, parameters: Mapping[str, Parameter], job: Job) -> None:
        self._parameters, self._job = parameters, job
        self._fixed = job.model_dump(mode="json")

    def needs(self, path: str) -> Needs:
        """Give all needs of a path; one on a fixed field that has another value has no picks.

        Raises ConfigError with one line per problem.
        """
        needs: Needs = {}
        problems: list[str] = []
        for other, wanted in (self._parameters[path].when or {}).items():
            values = wanted if isinstance(wanted, list) else [wanted]
            inside = (p for p in self._parameters if f"{other}.".startswith(f"{p}."))
            owner = next(inside, None)
            if not values:
                problems.append(f"space.{path}.when.{other}: names no value; give one")
            try:
                if owner is not None:
                    picks = self._picks(owner, other, values)
                    needs[owner] = needs.get(owner, picks) & picks
                elif not self._holds(other, values):
                    needs[other] = frozenset()
            except ConfigError as error:
                problems += [f"space.{path}.when.{line}" for line in str(error).splitlines()]
        if problems:
            raise ConfigError("\n".join(problems))
        return needs

    def _picks(self, owner: str, other: str, values: Sequence[Any]) -> frozenset[Pick]:
        parameter = self._parameters[owner]
        if parameter.count is None:
            raise ConfigError(
                f"{other}: a real number is never drawn twice; give space.{owner} a step"
            )
        if parameter.choice is None:
            drawn = f"{parameter.value(0)} to {parameter.value(parameter.count - 1)}"
            found = [[parameter.pick(value)] for value in values]
        else:
            inside = other.removeprefix(owner).strip(".")
            options = [_part(option, inside, other) for option in parameter.choice]
            drawn = ", ".join(map(shown, options))
            found = [[i for i, o in enumerate(options) if _equal(o, v)] for v in values]
        for value, picks in zip(values, found, strict=True):
            if picks in ([], [None]):
                raise ConfigError(
                    f"{other}={shown(value)}: is never drawn; space.{owner} gives {drawn}"
                )
        return frozenset(pick for picks in found for pick in picks if pick is not None)

    def _holds(self, other: str, values: Sequence[Any]) -> bool:
        for value in values:
            patched(self._job, {other: value})  # it could at least be set
        chooser = other.rpartition(".")[0] + ".name"
        if chooser in self._parameters:
            raise ConfigError(f"{other}: depends on {chooser}, which is searched; name that here")
        held = _part(self._fixed, other, other)
        return any(_equal(held, value) for value in values)


def _equal(one: object, other: object) -> bool:
    return identity(one) == identity(other)


def _part(option: Any, path: str, whole: str) -> Any:
    """Give what stands at a path, None for nothing. Raises ConfigError on a parameter."""
    for part in path.split(".") if path else ():
        if isinstance(option, list) and part.isdecimal() and int(part) < len(option):
            option = option[int(part)]
        else:
            option = option.get(part) if isinstance(option, dict) else None
    if isinstance(option, dict) and "name" not in option:
        raise ConfigError(f"{whole}: varies inside an option; name the option's component")
    return option
