"""A search space: a base job, what varies around it, and the trials that follow from a seed."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cifar_dist import seeds
from cifar_dist.config import Job, load_yaml, parse_job, patched
from cifar_dist.errors import ConfigError
from cifar_dist.problems import nearest, sentences, shown
from cifar_dist.search.parameters import KINDS, Parameter

_MAX_TRIALS = 10_000
_SHARED = ("recipe.data", "recipe.validation_fraction")  # else scores could not be compared


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Asha(_Closed):
    """How early a trial may be stopped, and how many go on at each rung."""

    grace_epochs: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Epochs that every trial gets; the first rung."""
    reduction_factor: Annotated[int, Field(ge=2, le=100)] = 3
    """One in this many goes on at a rung, and rungs lie this factor apart."""


class Budget(_Closed):
    """What a sweep may spend before it starts no further trial."""

    seconds: Annotated[int, Field(ge=1, le=31_536_000)] | None = None
    """Wall time."""


class Space(_Closed):
    """A sweep as it was asked for; its trials are pure in the sweep's seed and their number."""

    description: Annotated[str, Field(min_length=1, max_length=2000)]
    """What can be learned from this sweep."""
    job: Job
    """The base job, which is also trial 0."""
    trials: Annotated[int, Field(ge=1, le=_MAX_TRIALS)] | None = None
    """How many, the base job included; null for a grid, which counts its own points."""
    sampler: Literal["random", "grid"] = "random"
    """Draw each trial, or take every combination in turn."""
    asha: Asha | None = Asha()
    """When trials are stopped early; null lets all finish."""
    space: Annotated[dict[str, Parameter], Field(min_length=1, max_length=64)]
    """Dotted path in the job to what is tried there."""
    budget: Budget = Budget()
    """Limits of the whole sweep."""

    @classmethod
    def load(cls, path: Path) -> "Space":
        """Read a space file. Raises ConfigError with one line per problem."""
        try:
            return cls.parse(load_yaml(path))
        except ConfigError as error:
            lines = str(error).splitlines()
            named = [line if str(path) in line else f"{path}: {line}" for line in lines]
            raise ConfigError("\n".join(named)) from error

    @classmethod
    def parse(cls, data: object) -> "Space":
        """Check plain data. Raises ConfigError with one line per problem."""
        if not isinstance(data, dict):
            fields = ", ".join(cls.model_fields)
            raise ConfigError(f"a search space is a mapping of {fields}; got {shown(data)}")
        found = []
        try:
            job = parse_job(data.get("job"))
        except ConfigError as error:
            found += [f"job: {line}" for line in str(error).splitlines()]
        try:
            # Through JSON: strict there still takes a list for a tuple, never True for a number.
            text = json.dumps({**data, "job": {}}, default=str)
            space = cls.model_validate_json(text, strict=True)
        except ValidationError as error:
            found += sentences(error.errors(), valid=_fields(data))
        if not found:
            space = space.model_copy(update={"job": job})
            found = list(dict.fromkeys(_problems(space)))
        if found:
            raise ConfigError("\n".join(found))
        return space

    @model_validator(mode="after")
    def _trials_are_countable(self) -> Self:
        if self.sampler == "random":
            if self.trials is None:
                raise ValueError("trials: required with sampler random")
            return self
        if self.trials is not None:
            raise ValueError("trials: must be left out with sampler grid, which counts its points")
        for path, parameter in self.space.items():
            if not parameter.points:
                raise ValueError(
                    f"space.{path}: a grid cannot list a real number; use choice or sampler random"
                )
        if self.count > _MAX_TRIALS:
            raise ValueError(
                f"space: the grid and the base job make {self.count} trials, "
                f"more than {_MAX_TRIALS}; use fewer values or sampler random"
            )
        return self

    def changed(self, overrides: Mapping[str, Any], trials: int | None) -> "Space":
        """Change the base job and how many trials there are. Raises ConfigError."""
        job = patched(self.job, overrides).model_dump(mode="json")
        data = {**self.model_dump(mode="json"), "job": job}
        return Space.parse(data if trials is None else {**data, "trials": trials})

    @property
    def count(self) -> int:
        """Give the number of trials, the base job included."""
        if self.trials is not None:
            return self.trials
        return 1 + math.prod(len(parameter.points) for parameter in self.space.values())

    def overrides(self, trial: int, seed: int) -> dict[str, Any]:
        """Give what makes `trial`, counted from 0, out of the base job: nothing for trial 0."""
        if trial == 0:
            return {}
        if self.sampler == "grid":
            return self._point(trial - 1)
        # One stream per path, so that a parameter more leaves the draws of the others alone.
        return {
            path: parameter.draw((seeds.derive(seed, "trial", trial, path) >> 10) / 2**53)
            for path, parameter in self.space.items()
        }

    def _point(self, index: int) -> dict[str, Any]:
        point = {}
        for path, parameter in reversed(self.space.items()):
            index, digit = divmod(index, len(parameter.points))
            point[path] = parameter.points[digit]
        return dict(reversed(point.items()))


def shipped_spaces() -> dict[str, Path]:
    """Give the spaces that come with the package, by name."""
    package = Path(__file__).parents[1]
    installed = package / "tune_spaces"
    folder = installed if installed.is_dir() else package.parent / "tune_spaces"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def space_path(name: str) -> Path:
    """Find a space by its shipped name or as a file. Raises ConfigError."""
    spaces = shipped_spaces()
    if name in spaces:
        return spaces[name]
    path = Path(name)
    with suppress(OSError):  # a name too long for a file
        if path.is_file():
            return path
    raise ConfigError(
        f"{shown(name)}: neither a file nor a shipped search space; {nearest(name, spaces)}"
    )


def _fields(data: Mapping[str, Any]) -> dict[str, Any]:
    space = data.get("space")
    paths = space if isinstance(space, dict) else ()
    return {
        "": Space.model_fields,
        "asha": Asha.model_fields,
        "budget": Budget.model_fields,
        **{f"space.{path}": KINDS for path in paths},
    }


def _problems(space: Space) -> Iterator[str]:
    recipe = space.job.recipe
    if recipe.validation_fraction == 0:
        yield "job: recipe.validation_fraction=0: trials are ranked on validation images; hold some"
    if (space.job.placement.workers or 0) > 1:
        workers = space.job.placement.workers
        yield f"job: placement.workers={workers}: a trial runs on one worker; leave it out"
    if space.asha and space.asha.grace_epochs > recipe.epochs:
        yield (
            f"asha.grace_epochs={space.asha.grace_epochs}: must not exceed the job's "
            f"recipe.epochs={recipe.epochs}"
        )
    searchable = [path for path in space.space if _is_searchable(path)]
    for path in space.space.keys() - searchable:
        yield f"space.{path}: all trials share it; search fields of recipe, set this one in job"
    for path in searchable:
        for other in searchable:
            if other.startswith(f"{path}."):
                yield f"space.{other}: lies inside space.{path}; search one of the two"
    found = [line for path in searchable for line in _alone(space, path)]
    yield from found or _corners(space)


def _is_searchable(path: str) -> bool:
    return path.startswith("recipe.") and path not in _SHARED


def _alone(space: Space, path: str) -> Iterator[str]:
    """Try each end of one parameter, an option beside each name that may be chosen with it."""
    chooser = path.rpartition(".")[0] + ".name"
    names = space.space[chooser].values if chooser in space.space and chooser != path else (None,)
    for name in names:
        for value in space.space[path].values:
            overrides = {path: value} if name is None else {chooser: name, path: value}
            try:
                patched(space.job, overrides)
            except ConfigError as error:
                beside = "" if name is None else f" (with {chooser}={name})"
                yield from (f"space: {line}{beside}" for line in str(error).splitlines())


def _corners(space: Space) -> Iterator[str]:
    """Try the ends of each two parameters together; rules like warm-up < epochs bind two."""
    for end in (0, -1):
        base = {path: parameter.values[end] for path, parameter in space.space.items()}
        for path, parameter in space.space.items():
            for value in parameter.values:
                try:
                    patched(space.job, {**base, path: value})
                except ConfigError as error:
                    yield from (f"space: {line}" for line in str(error).splitlines())
