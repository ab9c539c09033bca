"""One searched parameter: a range, evenly spaced points or choices, each reached by a pick."""

import json
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from math import exp, log
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

KINDS = ("uniform", "loguniform", "integer", "choice")
FIELDS = (*KINDS, "step", "when")

_FORMS = ", ".join(f"{{{kind}: [low, high]}}" for kind in KINDS[:3]) + " or {choice: [a, b, …]}"
_MOST = 2**53  # what a draw's 53 bits can tell apart

Number = TypeVar("Number", int, float)
Ends = Annotated[list[Number], Field(min_length=2, max_length=2)]
Whole = Annotated[int, Field(ge=-_MOST, le=_MOST)]
Pick = int | float
"""The index of a point or choice, or the value itself where a range is continuous."""


class Parameter(BaseModel):
    """Exactly one of its kinds is set."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    uniform: Ends[float] | None = None
    """Low and high of a real number."""
    loguniform: Ends[float] | None = None
    """Low and high of a positive number whose magnitude counts, like a learning rate."""
    integer: Ends[Whole] | None = None
    """Low and high of a whole number, both included."""
    choice: Annotated[list[Any], Field(max_length=100)] | None = None
    """Different values, each as likely; a component may hold parameters in place of options."""
    step: Annotated[float, Field(gt=0)] | None = None
    """Distance of the points from low to high, beside uniform or integer."""
    when: Annotated[dict[str, Any], Field(min_length=1, max_length=64)] | None = None
    """Paths and the value, or values, at which this is searched; all must hold."""

    @model_validator(mode="before")
    @classmethod
    def _one_kind(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.keys() - set(FIELDS):
            return data  # refused below, field by field
        kinds = data.keys() & set(KINDS) if isinstance(data, dict) else ()
        if len(kinds) != 1 or any(data[kind] is None for kind in kinds):
            raise ValueError(f"must be one of {_FORMS}")
        return data

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if self.choice is not None:
            if self.step is not None:
                raise ValueError("step counts from low to high; leave it out beside choice")
            if len(self.choice) != len({identity(value) for value in self.choice}):
                raise ValueError("choice names a value twice; keep one")
            if len(self.choice) < 2:  # noqa: PLR2004
                raise ValueError("choice needs two values or more; a fixed value belongs in job")
            return self
        low, high = self._range
        if low >= high:
            raise ValueError(f"low={low} must be below high={high}; a fixed value belongs in job")
        if self.loguniform and low <= 0:
            raise ValueError(f"low={low} must be above 0, where logarithms exist; or use uniform")
        if self.step is not None:
            self._check_step(low, high, self.step)
        return self

    def _check_step(self, low: float, high: float, step: float) -> None:
        if self.loguniform:
            raise ValueError("magnitudes have no even step; list them with choice")
        if self.integer and step != int(step):
            raise ValueError(f"step={step} must be a whole number beside integer")
        steps = _exact(high, low) / _exact(step)
        if steps.denominator != 1:
            reached = float(_exact(low) + int(steps) * _exact(step))
            raise ValueError(
                f"step={step} leads from low={low} to {reached}, not to high={high}; change one"
            )
        if steps >= _MOST:
            raise ValueError(f"step={step} is too fine to count; leave it out")

    @model_serializer
    def _as_written(self) -> dict[str, Any]:
        written = {name: getattr(self, name) for name in FIELDS}
        return {name: value for name, value in written.items() if value is not None}

    @property
    def _range(self) -> Sequence[float]:
        return self.uniform or self.loguniform or self.integer or ()

    @cached_property
    def count(self) -> int | None:
        """Number of points; None for a continuous range."""
        if self.choice is not None:
            return len(self.choice)
        if self.step is None and not self.integer:
            return None
        low, high = self._range
        return int(_exact(high, low) / _exact(self.step or 1)) + 1

    @property
    def ends(self) -> Sequence[Pick]:
        """Picks that must be valid for all draws to be: every choice, or low and high."""
        if self.choice is not None:
            return range(len(self.choice))
        return self._range if self.count is None else (0, self.count - 1)

    @property
    def values(self) -> list[Any]:
        """Low and high, or the choices."""
        return [self.value(pick) for pick in self.ends]

    def draw(self, position: float) -> Pick:
        """Give the pick at a position from 0 up to but not including 1."""
        if self.count is not None:
            return int(position * self.count)
        low, high = self._range
        if self.uniform:
            return low + (high - low) * position
        return min(high, max(low, low * exp(log(high / low) * position)))

    def value(self, pick: Pick) -> Any:
        """Give what a pick stands for; of a choice, the option as it is written."""
        if self.choice is not None:
            return self.choice[int(pick)]
        if self.count is None:
            return pick
        # In fractions, because 3 * 0.1 is not 0.3 in floats.
        point = _exact(self._range[0]) + int(pick) * _exact(self.step or 1)
        return int(point) if self.integer else float(point)

    def pick(self, value: float) -> Pick | None:
        """Give the pick of a number in the range; None if no draw gives it."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        low, high = self._range
        if not low <= value <= high:
            return None
        if self.count is None:
            return value
        steps = _exact(value, low) / _exact(self.step or 1)
        return int(steps) if steps.denominator == 1 else None


def identity(value: object) -> float | str:
    """Give what is equal for equal values: 1 and 1.0 are, 1 and True are not."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else json.dumps(value, sort_keys=True)  # type: ignore[return-value]


def _exact(number: float, less: float = 0) -> Fraction:
    """Read floats as they are written, so that 0.3 is three tenths, and subtract."""
    return Fraction(str(number)) - Fraction(str(less))
