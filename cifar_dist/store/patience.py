"""The one retry loop of this program: wait out a storage fault, but not for ever."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from cifar_dist.counts import COUNTS
from cifar_dist.errors import StoreError

T = TypeVar("T")
log = logging.getLogger(__name__)

DEADLINE_VARIABLE = "CIFAR_DIST_STORE_DEADLINE_SECONDS"
DEADLINE_SECONDS = 300.0
FIRST_CONTACT_SECONDS = 30.0
"""A wrong address should not look like an outage for five minutes."""

_PAUSES_SECONDS = (0.05, 10.0)
_REPORT_EVERY_SECONDS = 10.0


class TransientError(Exception):
    """A fault that may pass; its text says what the storage did."""


class Patience:
    """How long one place has given nothing new: told every 10 seconds, ended at a deadline."""

    def __init__(self, place: str, seconds: float) -> None:
        self._place = place
        self._seconds = seconds
        self._waiting = False
        self._since = self._reported = time.monotonic()
        self._longest = _PAUSES_SECONDS[0]

    def renew(self) -> None:
        """Take note that the place gave something new."""
        if self._waiting:
            silence = time.monotonic() - self._since
            log.warning("storage answers again after %.0f s place=%s", silence, self._place)
        self._waiting = False
        self._since = time.monotonic()
        self._longest = _PAUSES_SECONDS[0]

    def wait(self, fault: TransientError) -> None:
        """Pause before the next try; StoreError once the deadline is over.

        Pauses grow from 0.05 to 10 seconds, each drawn anew from zero up ("full jitter").
        """
        now = time.monotonic()
        silence = now - self._since
        if silence >= self._seconds:
            raise StoreError(
                f"{self._place} failed for {silence:.0f} seconds ({fault}); check that the storage "
                f"runs and can be reached, or allow more with {DEADLINE_VARIABLE}"
            ) from fault
        COUNTS.add("storage_retries")
        until = now + min(random.uniform(0, self._longest), self._seconds - silence)
        self._longest = min(2 * self._longest, _PAUSES_SECONDS[1])
        while now < until:
            self._tell(now, fault)
            time.sleep(min(until, self._reported + _REPORT_EVERY_SECONDS) - now)
            now = time.monotonic()

    def _tell(self, now: float, fault: TransientError) -> None:
        if not self._waiting or now - self._reported >= _REPORT_EVERY_SECONDS:
            log.warning(
                "storage has not answered for %.0f s, giving up at %.0f s place=%s fault=%s",
                now - self._since,
                self._seconds,
                self._place,
                fault,
            )
            self._waiting, self._reported = True, now


def persist(step: Callable[[], T], patience: Patience) -> T:
    """Repeat an idempotent step while it raises TransientError and patience lasts."""
    while True:
        try:
            result = step()
        except TransientError as error:
            patience.wait(error)
        else:
            patience.renew()
            return result
