"""A search space: a base job, what varies around it, and the trials that follow from a seed."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cifar_dist import seeds
from cifar_dist.config import (
    Job,
    load_file,
    load_job,
    parse_job,
    patched,
    shipped_recipes,
)
from cifar_dist.documents import value_at
from cifar_dist.errors import ConfigError
from cifar_dist.problems import nearest, sentences, shown
from cifar_dist.search import tpe
from cifar_dist.search.checks import MAX_TRIALS, corner_problems, problems
from cifar_dist.search.grammar import grown
from cifar_dist.search.parameters import FIELDS, Parameter
from cifar_dist.search.samplers import Draws, Observation, fresh
from cifar_dist.search.tree import Picks, Tree, key

_STARTUP = 10
_ASKS = 10  # before a configuration that nobody tried is drawn
_OF_A_STEP = re.compile(
    r"recipe\.(model(?!\.\w*dropout)|batch_size|accumulation|augmentation|averaging|"
    r"optimizer(\.name)?$)"
)


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Asha(_Closed):
    """How early a trial may be stopped, and how many go on at each rung."""

    grace_epochs: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Epochs that every trial gets; the first rung."""
    reduction_factor: Annotated[int, Field(ge=2, le=100)] = 3
    """One in this many goes on at a rung, and rungs lie this factor apart."""
    rungs: Literal["continue", "restart"] = "continue"
    """What a trial does after a rung: go on in its one schedule, or start again with a longer one.
    With restart each rung is a whole training of its length, and the epochs of all are counted."""
    brackets: Annotated[int, Field(ge=1, le=10)] = 1
    """Groups of trials that are judged apart; each begins one rung later than the one before."""


class Budget(_Closed):
    """What a sweep may spend before it starts no further trial."""

    seconds: Annotated[int, Field(ge=1, le=31_536_000)] | None = None
    """Wall time."""
    cpu_hours: Annotated[float, Field(gt=0, le=1_000_000_000)] | None = None
    """CPUs that trials reserved, times the hours for which they held them."""
    gpu_hours: Annotated[float, Field(gt=0, le=1_000_000_000)] | None = None
    """GPUs that trials reserved, times the hours for which they held them."""
    cost: Annotated[float, Field(gt=0, le=1_000_000_000_000)] | None = None
    """Money, by the prices of the job's placement and in their currency."""


class Space(_Closed):
    """A sweep as it was asked for; a trial follows from its number, a seed and what was seen."""

    description: Annotated[str, Field(min_length=1, max_length=2000)]
    """What can be learned from this sweep."""
    job: Job
    """The base job, which is also trial 0."""
    trials: Annotated[int, Field(ge=1, le=MAX_TRIALS)] | None = None
    """How many, the base job included; null for a grid, which counts its own points."""
    sampler: Literal["random", "grid", "tpe"] = "random"
    """Draw each trial, take every combination in turn, or learn from the trials that ended."""
    startup_trials: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Trials that must end before tpe learns from them, random until then; null: a third of all,
    at most 10."""
    asha: Asha | None = Asha()
    """When trials are stopped early; null lets all finish."""
    space: Annotated[dict[str, Parameter], Field(min_length=1, max_length=64)]
    """Dotted path in the job to what is tried there."""
    budget: Budget = Budget()
    """Limits of the whole sweep."""

    @classmethod
    def load(cls, path: Path) -> "Space":
        """Read a space file. Raises ConfigError with file, line and a sentence per problem."""
        document = load_file(path)
        try:
            return cls.parse(document.data)
        except ConfigError as error:
            raise document.placed(error) from error

    @classmethod
    def parse(cls, data: object) -> "Space":
        """Check plain data. Raises ConfigError with one line per problem."""
        if not isinstance(data, dict):
            fields = ", ".join(cls.model_fields)
            raise ConfigError(f"a search space is a mapping of {fields}; got {shown(data)}")
        found = []
        try:
            job = _base_job(data.get("job"))
        except ConfigError as error:
            field = "job." if isinstance(data.get("job"), dict) else "job: "
            found += [f"{field}{line}" for line in str(error).splitlines()]
        try:
            # Through JSON: strict there still takes a list for a tuple, never True for a number.
            text = json.dumps({**data, "job": {}}, default=str)
            space = cls.model_validate_json(text, strict=True)
        except ValidationError as error:
            found += sentences(error.errors(), valid=_fields(data))
        if not found:
            space = space.model_copy(update={"job": job})
            found = list(dict.fromkeys(problems(space)))
        if found:
            raise ConfigError("\n".join(found))
        return space

    def changed(self, overrides: Mapping[str, Any], trials: int | None) -> "Space":
        """Change the base job and how many trials there are. Raises ConfigError."""
        job = patched(self.job, overrides).model_dump(mode="json")
        data = {**self.model_dump(mode="json"), "job": job}
        return Space.parse(data if trials is None else {**data, "trials": trials})

    def allowed(self, budget: Mapping[str, Any]) -> "Space":
        """Change parts of what may be spent. Raises ConfigError."""
        data = self.model_dump(mode="json")
        return Space.parse({**data, "budget": {**data["budget"], **budget}})

    def check_retraining(self, changes: Mapping[str, Any]) -> None:
        """Raise ConfigError if some trial, should it win, could not be trained with these changes.

        They are made to the trial's job.
        """
        found = corner_problems(self, changes) if changes else []
        if found:
            lines = [f"some trials could not be retrained: {line}" for line in found]
            raise ConfigError("\n".join(lines))

    @cached_property
    def tree(self) -> Tree:
        """The variables and how they depend on each other. Raises ConfigError."""
        return grown(self.space, self.job)

    @property
    def varies_steps(self) -> bool:
        """Whether steps of some trials may take other time or memory than the base job's."""
        return any(map(_OF_A_STEP.match, self.space))

    @property
    def count(self) -> int:
        """Give the number of trials, the base job included."""
        return self.trials or 1 + int(self.tree.size)

    def proposal(self, trial: int, seed: int, seen: Sequence[Observation] = ()) -> dict[str, Any]:
        """Give what makes `trial` out of the base job: nothing for trial 0.

        Pure: the same trials seen, in the same order, give the same proposal; only tpe looks.
        """
        return self.tree.overrides(self._picks(trial, seed, seen)) if trial else {}

    def preview(self, most: int, seed: int) -> list[dict[str, Any]]:
        """Give the first trials as far as they are known before any has run."""
        known = min(most, self.count)
        if self.sampler == "tpe":
            known = min(known, 1 + self._startup)
        return [self.proposal(trial, seed) for trial in range(known)]

    def _picks(self, trial: int, seed: int, seen: Sequence[Observation]) -> Picks:
        if self.sampler == "grid":
            return self._grid[trial - 1]
        ended = [o for o in seen if o.trial and o.state != "running"]
        if self.sampler == "random" or len(ended) < self._startup:
            return self._draws.picks(trial, seed)
        taken = {key(observation.overrides) for observation in seen if observation.trial}
        stream = seeds.derive(seed, "tpe", trial)
        asked = islice(tpe.proposals(self.tree, stream, seen), _ASKS)
        untried = (picks for picks in asked if self.tree.key(picks) not in taken | {self._own})
        return next(untried, None) or fresh(self.tree, trial, seed, taken, self._own)

    def untried(self, tried: Iterable[Mapping[str, Any]]) -> float:
        """Count the configurations left beside those of some trials; the base job is one of them.

        Infinite with a real number among the parameters.
        """
        own = {self._own} if self._own is not None else set()
        return self.tree.size - len({key(overrides) for overrides in tried if overrides} | own)

    @cached_property
    def _own(self) -> str | None:
        """Key of the base job's own values, if they lie in the space."""
        job, values = self.job.model_dump(mode="json"), {}
        for path in self.tree.paths:
            with suppress(LookupError, TypeError, ValueError):
                values[path] = value_at(job, path)
        picks = self.tree.picks(values)
        with suppress(KeyError):
            return self.tree.key(self.tree.completed(lambda variable: picks[variable.name]))
        return None

    @property
    def _startup(self) -> int:
        return self.startup_trials or max(1, min(_STARTUP, self.count // 3))

    @cached_property
    def _grid(self) -> list[Picks]:
        return list(self.tree.points())

    @cached_property
    def _draws(self) -> Draws:
        return Draws(self.tree, self._own)


def _base_job(data: object) -> Job:
    if not isinstance(data, str):
        return parse_job(data)
    recipes = shipped_recipes()
    if data not in recipes:
        raise ConfigError(f"{shown(data)} is no shipped recipe; {nearest(data, recipes)}")
    return load_job(recipes[data])


def _fields(data: Mapping[str, Any]) -> dict[str, Any]:
    space = data.get("space")
    paths = space if isinstance(space, dict) else ()
    return {
        "": Space.model_fields,
        "asha": Asha.model_fields,
        "budget": Budget.model_fields,
        **{f"space.{path}": FIELDS for path in paths},
    }
