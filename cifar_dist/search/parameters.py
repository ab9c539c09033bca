"""One searched parameter: a range or a list of choices, drawn from a number between 0 and 1."""

import json
import math
from collections.abc import Sequence
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

KINDS = ("uniform", "loguniform", "integer", "choice")

_FORMS = ", ".join(f"{{{kind}: [low, high]}}" for kind in KINDS[:3]) + " or {choice: [a, b, …]}"

Number = TypeVar("Number", int, float)
Ends = Annotated[list[Number], Field(min_length=2, max_length=2)]
Whole = Annotated[int, Field(ge=-(2**53), le=2**53)]  # what a draw's 53 bits can tell apart


class Parameter(BaseModel):
    """Exactly one of its fields is set."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    uniform: Ends[float] | None = None
    """Low and high of a real number."""
    loguniform: Ends[float] | None = None
    """Low and high of a positive number whose magnitude counts, like a learning rate."""
    integer: Ends[Whole] | None = None
    """Low and high of a whole number, both included."""
    choice: Annotated[list[Any], Field(max_length=1000)] | None = None
    """Different values, each as likely."""

    @model_validator(mode="before")
    @classmethod
    def _one_kind(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.keys() - set(KINDS):
            return data  # refused below, field by field
        if not isinstance(data, dict) or len(data) != 1 or None in data.values():
            raise ValueError(f"must be one of {_FORMS}")
        return data

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if self.choice is not None:
            if len(self.choice) != len({_identity(value) for value in self.choice}):
                raise ValueError("choice names a value twice; keep one")
            if len(self.choice) < 2:  # noqa: PLR2004
                raise ValueError("choice needs two values or more; a fixed value belongs in job")
            return self
        low, high = self.values
        if low >= high:
            raise ValueError(f"low={low} must be below high={high}; a fixed value belongs in job")
        if self.loguniform and low <= 0:
            raise ValueError(f"low={low} must be above 0, where logarithms exist; or use uniform")
        return self

    @model_serializer
    def _as_written(self) -> dict[str, Any]:
        return {kind: self.values for kind in self.model_fields_set}

    @property
    def values(self) -> list[Any]:
        """Give low and high, or the choices: what must be valid for all draws to be."""
        values = (self.uniform, self.loguniform, self.integer, self.choice)
        return next(value for value in values if value is not None)

    @property
    def points(self) -> Sequence[Any]:
        """Give every value in order; none for a real number, which has no list of them."""
        if self.integer:
            return range(self.integer[0], self.integer[1] + 1)
        return self.choice or ()

    def draw(self, position: float) -> Any:
        """Give the value at a position from 0 up to but not including 1."""
        if self.points:
            return self.points[int(position * len(self.points))]
        low, high = self.values
        if self.uniform:
            return low + (high - low) * position
        return min(high, max(low, low * math.exp(math.log(high / low) * position)))


def _identity(value: Any) -> float | str:
    # 1 and 1.0 are one value of a real number; True is neither, though Python says so.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else json.dumps(value, sort_keys=True)
