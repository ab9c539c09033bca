"""What stands in a report beside its result, and never costs it."""

import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


def guarded(name: str, make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """Make a figure or what it shows; if that fails, log a warning and give None."""
    try:
        return make(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - a figure must not cost a trained run its result
        why = f"{type(error).__name__}: {error}"
        log.warning("The report is written without %s, which failed: %s", name, why)
        return None
