"""The one retry loop of this program: wait out a storage fault, but not for ever."""

import logging
import os
import random
import time
from collections.abc import Callable
from typing import TypeVar

from cifar_dist.errors import ConfigError, StoreError
from cifar_dist.problems import shown

T = TypeVar("T")
log = logging.getLogger(__name__)

DEADLINE_VARIABLE = "CIFAR_DIST_STORE_DEADLINE_SECONDS"
_DEADLINE_SECONDS = 300.0
_FIRST_CONTACT_SECONDS = 30.0  # a wrong address should not look like an outage for five minutes
_LONGEST_SECONDS = 86_400.0
_PAUSES_SECONDS = (0.05, 10.0)
_REPORT_EVERY_SECONDS = 10.0


class TransientError(Exception):
    """A fault that may pass; its text says what the storage did."""


def deadline_seconds(answered: bool) -> float:
    """Give how long a fault is waited out; shorter by default before the storage ever answered."""
    text = os.environ.get(DEADLINE_VARIABLE, "").strip()
    if not text:
        return _DEADLINE_SECONDS if answered else _FIRST_CONTACT_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _LONGEST_SECONDS:
        raise ConfigError(
            f"{DEADLINE_VARIABLE}={shown(text)}: not a number of seconds up to one day; unset it"
        )
    return seconds


def persist(step: Callable[[], T], place: str, seconds: float) -> T:
    """Repeat an idempotent step while it raises TransientError; StoreError after `seconds`.

    Pauses grow from 0.05 to 10 seconds, each drawn anew from zero up ("full jitter").
    """
    start = reported = time.monotonic()
    longest, limit = _PAUSES_SECONDS
    while True:
        try:
            return step()
        except TransientError as error:
            now = time.monotonic()
            if now - start >= seconds:
                raise StoreError(
                    f"{place} failed for {now - start:.0f} seconds ({error}); check that the "
                    f"storage runs and can be reached, or allow more with {DEADLINE_VARIABLE}"
                ) from error
            if now - reported >= _REPORT_EVERY_SECONDS or reported == start:
                log.warning("waiting for storage place=%s fault=%s of=%.0fs", place, error, seconds)
                reported = now
            time.sleep(min(random.uniform(0, longest), max(0.0, start + seconds - now)))
            longest = min(2 * longest, limit)
