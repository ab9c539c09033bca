"""From a space's paths and conditions to its tree of variables; every problem at once."""

import json
from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from cifar_dist.config import Job
from cifar_dist.errors import ConfigError
from cifar_dist.problems import sentences
from cifar_dist.search.conditions import Conditions
from cifar_dist.search.options import inside
from cifar_dist.search.parameters import FIELDS, Parameter
from cifar_dist.search.tree import Tree, Variable

_MOST_VARIABLES = 256


def grown(parameters: Mapping[str, Parameter], job: Job) -> Tree:
    """Give the tree of a space around a job. Raises ConfigError with one line per problem."""
    conditions = Conditions(parameters, job)
    found: dict[str, Variable] = {}
    problems: list[str] = []
    for path, parameter in parameters.items():
        try:
            needs = conditions.needs(path)
            chooser = path.rpartition(".")[0] + ".name"
            beside = chooser if chooser in parameters and chooser != path else None
            for variable in _family(Variable(path, parameter, needs, beside)):
                found[variable.name] = variable
        except ConfigError as error:
            problems += str(error).splitlines()
    if len(found) > _MOST_VARIABLES:
        problems.append(
            f"space: {len(found)} parameters, those inside of choices included, are more than "
            f"{_MOST_VARIABLES}; search fewer at once"
        )
    if problems:
        raise ConfigError("\n".join(problems))
    return Tree(_ordered(found), parameters)


def _family(variable: Variable) -> Iterator[Variable]:
    """Give a variable and those that lie inside its options."""
    yield variable
    problems: list[str] = []
    for index, option in enumerate(variable.parameter.choice or ()):
        for place, form in inside(option, f"{variable.name}.choice.{index}"):
            try:
                # Through JSON: strict there is as it is for the parameters outside.
                parameter = Parameter.model_validate_json(json.dumps(form), strict=True)
            except ValidationError as error:
                section = f"space.{place}"
                problems += sentences(error.errors(), section, {section: FIELDS})
                continue
            if parameter.when is not None:
                problems.append(
                    f"space.{place}.when: it is searched when its option is chosen; leave it out"
                )
            yield from _family(Variable(place, parameter, {variable.name: frozenset({index})}))
    if problems:
        raise ConfigError("\n".join(problems))


def _ordered(found: Mapping[str, Variable]) -> list[Variable]:
    """Put each variable after those that it needs, and otherwise leave their order."""
    placed: dict[str, Variable] = {}
    pending = dict(found)
    while pending:
        ready = (v for v in pending.values() if not v.needs.keys() & pending.keys())
        following = next(ready, None)
        if following is None:
            raise ConfigError(_circle(pending))
        placed[following.name] = pending.pop(following.name)
    return list(placed.values())


def _circle(pending: Mapping[str, Variable]) -> str:
    trail = [next(iter(pending))]
    while trail[-1] not in trail[:-1]:
        trail.append(next(name for name in pending[trail[-1]].needs if name in pending))
    circle = trail[trail.index(trail[-1]) :]
    return f"space.{circle[0]}.when: depends on itself: {' needs '.join(circle)}; drop one"
