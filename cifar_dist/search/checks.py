"""What is wrong with a space whose fields alone are right, a sentence each."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any

from cifar_dist.config import patched
from cifar_dist.errors import ConfigError
from cifar_dist.problems import shown
from cifar_dist.search.parameters import Pick
from cifar_dist.search.rungs import rungs_of
from cifar_dist.search.tree import Picks, Tree, Variable, walk

if TYPE_CHECKING:
    from cifar_dist.search.space import Space

MAX_TRIALS = 10_000
_SHARED = ("recipe.data", "recipe.validation_fraction")  # else scores could not be compared
_CONTEXTS = 512  # tried over all variables; about 4 jobs for each
_WALKED = 1000


def problems(space: "Space") -> Iterator[str]:
    """Find everything wrong, the cheap before what needs the cheap to be right."""
    found = [*_job_problems(space), *_path_problems(space)]
    try:
        tree = space.tree
    except ConfigError as error:
        found += str(error).splitlines()
    if not found:
        found = [*_bracket_problems(space), *_sampler_problems(space), *_dead(tree)]
    yield from found or corner_problems(space, {})


def _job_problems(space: "Space") -> Iterator[str]:
    recipe = space.job.recipe
    if recipe.validation_fraction == 0:
        yield "job.recipe.validation_fraction=0: trials are ranked on validation images; hold some"
    if space.asha and space.asha.grace_epochs > recipe.epochs:
        yield (
            f"asha.grace_epochs={space.asha.grace_epochs}: must not exceed the job's "
            f"recipe.epochs={recipe.epochs}"
        )


def _bracket_problems(space: "Space") -> Iterator[str]:
    brackets, count = space.asha.brackets if space.asha else 1, len(rungs_of(space).all)
    if brackets > max(1, count):
        yield (
            f"asha.brackets={brackets}: each leaves out one rung more, and trials of these epochs "
            f"have {count}; use at most {max(1, count)}"
        )


def _path_problems(space: "Space") -> Iterator[str]:
    for path in space.space:
        if not path.startswith("recipe.") or path in _SHARED:
            yield f"space.{path}: all trials share it; search fields of recipe, set this one in job"
        for other in space.space:
            if other.startswith(f"{path}."):
                yield f"space.{other}: lies inside space.{path}; search one of the two"


def _sampler_problems(space: "Space") -> Iterator[str]:
    if space.startup_trials is not None and space.sampler != "tpe":
        yield f"startup_trials: belongs to sampler tpe; leave it out with {space.sampler}"
    if space.sampler != "grid":
        if space.trials is None:
            yield f"trials: required with sampler {space.sampler}"
        return
    if space.trials is not None:
        yield "trials: must be left out with sampler grid, which counts its points"
    real = [v.name for v in space.tree.variables if v.parameter.count is None]
    for name in real:
        yield f"space.{name}: a grid cannot list a real number; give it a step, or use choice"
    if not real and space.tree.size >= MAX_TRIALS:
        yield (
            f"space: the grid and the base job make {space.tree.size + 1} trials, "
            f"more than {MAX_TRIALS}; use fewer values or sampler random"
        )


def _dead(tree: Tree) -> Iterator[str]:
    alive = [variable for variable in tree.variables if not tree.is_inert(variable)]
    if not alive:
        yield "space: nothing is searched, as this job's own values fail every condition"
    for variable in alive:
        if not _contexts(tree, variable):
            yield f"space.{variable.name}.when: can never hold; its conditions exclude each other"


def _contexts(tree: Tree, variable: Variable) -> list[Picks]:
    """Give the ways to pick for what decides whether a variable is active or valid."""

    def options(other: Variable) -> Iterator[tuple[Pick, float]]:
        return zip(sorted(variable.needs.get(other.name, tree.decisive(other))), repeat(1))

    found = islice(walk(tree.ancestors(variable), options), _WALKED)
    return [picks for picks, _ in found if variable.is_active(picks)]


def corner_problems(space: "Space", changes: Mapping[str, Any]) -> list[str]:
    """Try both ends of each parameter in its contexts, beside all others' low and high ends.

    `changes` are made to each of these jobs afterwards.
    """
    found: dict[str, str] = {}
    for picks in _scenarios(space.tree):
        try:
            job = patched(space.job, space.tree.overrides(picks))
            if changes:
                patched(job, changes)
        except ConfigError as error:
            for line in str(error).splitlines():
                sentence, context = _blamed(space.tree, picks, line)
                found.setdefault(sentence, context)
    return [sentence + context for sentence, context in found.items()]


def _scenarios(tree: Tree) -> Iterator[Picks]:
    most = max(1, _CONTEXTS // len(tree.variables))
    for variable in tree.variables:
        contexts = _contexts(tree, variable)
        for context in contexts[:: -(-len(contexts) // most) or 1]:
            ends = variable.parameter.ends
            for pick in ends:
                yield _beside(tree, {**context, variable.name: pick}, 0)
            for pick in (ends[0], ends[-1]):
                yield _beside(tree, {**context, variable.name: pick}, -1)


def _beside(tree: Tree, given: Picks, end: int) -> Picks:
    """Complete some picks by the low or high ends of all others."""
    return tree.completed(lambda other: given.get(other.name, other.parameter.ends[end]))


def _blamed(tree: Tree, picks: Picks, line: str) -> tuple[str, str]:
    """Put a job's sentence to its place in the space; say beside what it came up."""
    path = re.split("[:=]", line, maxsplit=1)[0]
    for name in tree.paths:
        if f"{path}.".startswith(f"{name}.") and name in picks:
            inside = f".choice.{picks[name]}" if tree[name].parameter.choice is not None else ""
            return f"space.{name}{inside}{line.removeprefix(name)}", _context(tree, name, picks)
    return f"space: {line}", ""


def _context(tree: Tree, name: str, picks: Picks) -> str:
    decided = [other for other in tree.ancestors(tree[name]) if other.name in picks]
    values = [f"{v.name}={shown(v.parameter.value(picks[v.name]))}" for v in decided]
    return f" (with {', '.join(values)})" if values else ""
