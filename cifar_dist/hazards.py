"""Environment variables that would undo a protection; what it protects is not started then."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from cifar_dist import consent
from cifar_dist.errors import RefusedError

_OFF = {"", "0", "n", "no", "false", "off"}


@dataclass(frozen=True)
class Hazard:
    """A variable that must not be set, or not to a certain value."""

    variable: str
    effect: str
    """What it would undo, as the end of a sentence."""
    value: str | None = None
    """The one that is dangerous; None: any that switches something on."""
    is_of_ray: bool = False
    """Whether it concerns Ray alone; the caller may consent to it."""

    @property
    def danger(self) -> str:
        """What is wrong with this environment."""
        said = self.variable if self.value is None else f"{self.variable}={self.value}"
        return f"{said} {self.effect}"

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return f"run `unset {self.variable}`"

    def is_set(self, environment: Mapping[str, str]) -> bool:
        """Tell whether an environment has it."""
        text = environment.get(self.variable, "").strip().lower()
        return text not in _OFF if self.value is None else text == self.value


HAZARDS = (
    Hazard(
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD",
        "lets a checkpoint run any code as it is loaded",
    ),
    Hazard(
        "RAY_AUTH_MODE",
        "lets everyone who reaches the cluster's ports run code there",
        value="disabled",
        is_of_ray=True,
    ),
)


def hazards(environment: Mapping[str, str] | None = None) -> list[Hazard]:
    """List those that are set, in this process's environment or the one given."""
    found = os.environ if environment is None else environment
    return [hazard for hazard in HAZARDS if hazard.is_set(found)]


def refuse_hazards(*, of_ray: bool = False) -> None:
    """Raise RefusedError for the first one that is set, unless it may be and the caller consents.

    Those `of_ray` alone are looked at where Ray is used. What is allowed is logged.
    """
    for hazard in hazards():
        if not hazard.is_of_ray:
            raise RefusedError(f"{hazard.danger}; {hazard.remedy}")
        if of_ray:
            consent.require(hazard.danger, hazard.remedy)
