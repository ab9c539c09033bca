"""Which trials of a space cost alike, and which of them are worth timing."""

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from cifar_dist.config import Component, Recipe, patched
from cifar_dist.learner import build_model
from cifar_dist.report.formats import setting
from cifar_dist.search import Space

_KNOWN = 128  # trials that are looked at; the others are like them


class Cost(NamedTuple):
    """What decides how long a step takes and how much memory it needs; what weighs most, first."""

    layers: Hashable
    batch_size: int
    accumulation: int
    augmentation: tuple[str, ...]
    optimizer: str
    averaging: str


@dataclass(frozen=True)
class Combination:
    """Trials that cost alike, and others that one of them stands for."""

    recipe: Recipe
    label: str
    share: float
    stands_for: tuple[str, ...] = ()


def combinations(space: Space, most: int) -> list[Combination]:
    """Give the combinations of a space to be timed, the most frequent first."""
    layers = _layers()
    counts: Counter[Cost] = Counter()
    recipes: dict[Cost, Recipe] = {}
    for overrides in space.preview(_KNOWN, space.job.recipe.seed):
        recipe = patched(space.job, overrides).recipe
        cost = cost_of(recipe, layers)
        counts[cost] += 1
        recipes.setdefault(cost, recipe)
    chosen = [cost for cost, _ in counts.most_common(most)]
    others = {cost: max(chosen, key=_likeness(cost)) for cost in counts if cost not in chosen}
    total = counts.total()
    found = []
    for cost in chosen:
        like = [other for other, nearest in others.items() if nearest == cost]
        share = (counts[cost] + sum(counts[other] for other in like)) / total
        labels = tuple(label(recipes[other]) for other in like)
        found.append(Combination(recipes[cost], label(recipes[cost]), share, labels))
    return found


def cost_of(recipe: Recipe, layers: Callable[[Component], Hashable] | None = None) -> Cost:
    """Give what a recipe's steps cost alike by."""
    return Cost(
        (layers or _layers())(recipe.model),
        recipe.batch_size,
        recipe.accumulation,
        tuple(component.name for component in recipe.augmentation),
        recipe.optimizer.name,
        recipe.averaging.name,
    )


def label(recipe: Recipe) -> str:
    """Name a combination for people."""
    model = recipe.model.model_dump()
    told = {key: value for key, value in model.items() if "dropout" not in key}
    steps = "+".join(component.name for component in recipe.augmentation) or "no augmentation"
    return f"{setting(told)}, batch {recipe.batch_size}, {recipe.optimizer.name}, {steps}"


def _likeness(cost: Cost) -> Callable[[Cost], tuple[bool, ...]]:
    def likeness(other: Cost) -> tuple[bool, ...]:
        return tuple(mine == its for mine, its in zip(cost, other, strict=True))

    return likeness


def _layers() -> Callable[[Component], Hashable]:
    """Give what tells a model's layers and shapes; built without memory, each component once."""
    known: dict[str, Hashable] = {}

    def layers(component: Component) -> Hashable:
        name = component.model_dump_json()
        if name not in known:
            with torch.device("meta"):
                model = build_model(component, 0)
            known[name] = tuple(
                (path, type(module).__name__, *map(_shape, module.parameters(recurse=False)))
                for path, module in model.named_modules()
                if "dropout" not in type(module).__name__.lower()
            )
        return known[name]

    return layers


def _shape(parameter: nn.Parameter) -> tuple[int, ...]:
    return tuple(parameter.shape)
