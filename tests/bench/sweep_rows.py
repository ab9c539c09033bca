"""The 27-configuration sweep: what ours and stock Ray Tune spend until a good one is trained."""

from typing import Any

from cifar_dist.search import Space
from tests.bench.ray_child import Child, require
from tests.bench.rounds import Row, Setting, Side
from tests.bench.sweep_space import (
    Configuration,
    Ended,
    configurations,
    frozen_space,
    good,
    key,
    read_table,
    seconds_to_good,
)


class _Search:
    """One side: its nth call searches in the order of the nth seed, until a good one is trained."""

    def __init__(self, setting: Setting, wanted: set[str], scheduler: str | None) -> None:
        self._setting, self._wanted, self._scheduler = setting, wanted, scheduler
        self._space = frozen_space(setting)
        self._calls = 0

    def __call__(self) -> float:
        seed = self._setting.seed + self._calls
        self._calls += 1
        space = self._space.changed({"recipe.seed": seed}, None)
        order = configurations(space, seed)
        child = self._begun(space, order)
        try:
            ended = (
                Ended(order[line["trial"]], line["epochs"], child.tree.seconds())
                for line in child.lines()
                if "trial" in line
            )
            found = seconds_to_good(ended, self._wanted, space.job.recipe.epochs)
            if found is None:
                child.check()
                self._setting.notes.append(
                    f"seed {seed}: {self._name} trained no good one; counted whole"
                )
            return found or child.tree.seconds()
        finally:
            child.end()

    @property
    def _name(self) -> str:
        return f"stock {self._scheduler}" if self._scheduler else "ours"

    def _begun(self, space: Space, order: list[Configuration]) -> Child:
        if self._scheduler is None:
            return Child("tests.bench.sweep_ours:sweep", {"space": space.model_dump(mode="json")})
        return Child("tests.bench.sweep_stock:sweep", stock(space, order, self._scheduler))


def stock(space: Space, order: list[Configuration], scheduler: str) -> dict[str, Any]:
    """Give stock Ray Tune the same configurations in the same order."""
    recipe = space.job.recipe
    return {
        "data": recipe.data,
        "seed": recipe.seed,
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "cpus": 1,
        "scheduler": scheduler,
        "recipes": [_seed_recipe(each) for each in order],
    }


def _seed_recipe(configuration: Configuration) -> dict[str, Any]:
    optimizer = dict(configuration["recipe.optimizer"])
    decay = {"sgd": 5e-4, "adam": 0.0, "adamw": 0.01}[optimizer["name"]]
    return {
        "model": configuration["recipe.model"],
        "optimizer": optimizer["name"],
        "lr": optimizer["lr"],
        "weight_decay": decay,
    }


def _against(scheduler: str) -> Any:
    def sides(setting: Setting) -> tuple[Side, Side]:
        require("ray", "albumentations")
        space = frozen_space(setting)
        if setting.smoke:  # there, any but the first that is begun
            wanted = {key(each) for each in configurations(space, setting.seed)[1:]}
        else:
            wanted = good(read_table(space))
        return _Search(setting, wanted, None), _Search(setting, wanted, scheduler)

    return sides


ROWS = [
    Row(
        name=f"sweep_{scheduler}",
        what=f"CPU-seconds until a good one of 27 is trained ÷ stock Tune, {text}, the seed loop",
        unit="CPU-seconds",
        goal=goal,
        sides=_against(scheduler),
        higher_is_better=False,
        is_long=True,
    )
    for scheduler, text, goal in (
        ("fifo", "FIFO", "<= 0.125"),
        ("asha", "ASHA", "<= 0.3333"),
    )
]
"""Both sides try the same configurations in the same order, another one in each round."""
