"""Workers' warnings and counts, brought to the driver: people and Prometheus look at it alone."""

import logging
import time
import traceback
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, RLock, Thread
from typing import Any

from cifar_dist.cluster.channel import Channel
from cifar_dist.counts import COUNTS
from cifar_dist.logs import ROOT, protect
from cifar_dist.redaction import clean, redacted

_KEPT = 20  # newest warnings of a process that were perhaps not told yet
_LENGTH = 500  # characters of one
_PAUSE_SECONDS = 10.0  # between two times that a process tells its counts, and that they are read

log = logging.getLogger(__name__)


class Relay(logging.Handler):
    """A worker's side: leaves this package's warnings in a channel, numbered, and what it counts.

    The counts in a thread of its own: they are wanted most while training waits for something.
    """

    def __init__(self, channel: Channel, speaker: str) -> None:
        super().__init__(logging.WARNING)
        self.speaker = speaker
        """Who warns, in the words of the driver's log."""
        self.trial: int | None = None
        """Which trial of a sweep it trains."""
        self._channel, self._source = channel, uuid.uuid4().hex
        self._newest: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._count = 0
        self._is_over, self._telling = Event(), RLock()

    def emit(self, record: logging.LogRecord) -> None:
        """Leave a warning; what has a traceback is told as the reason of a failure instead."""
        if record.exc_info:
            return
        self._count += 1
        text = f"{self.speaker}: {record.getMessage()}"[:_LENGTH]
        told = {"number": self._count, "level": record.levelno, "text": text, "trial": self.trial}
        self._newest.append(told)
        self._channel.warn(self._source, list(self._newest))
        self.tell()

    def tell(self) -> None:
        """Leave what this process counted so far."""
        with self._telling:  # nothing older may come later
            self._channel.tell(self._source, COUNTS.told())

    def open(self) -> None:
        """Begin to listen; from now on no record of this process tells a secret."""
        protect()
        logging.getLogger(ROOT).addHandler(self)
        Thread(target=self._tell_on, daemon=True).start()

    def close(self) -> None:
        """Listen and tell no more."""
        logging.getLogger(ROOT).removeHandler(self)
        self._is_over.set()
        super().close()

    def _tell_on(self) -> None:
        while not self._is_over.wait(_PAUSE_SECONDS):
            self.tell()


@contextmanager
def relayed(channel: Channel, speaker: str) -> Iterator[Relay]:
    """Relay the warnings of this process meanwhile; an error leaves it without secrets."""
    relay = Relay(channel, speaker)
    relay.open()
    try:
        with without_secrets():
            yield relay
    finally:
        relay.tell()
        relay.close()


@contextmanager
def without_secrets() -> Iterator[None]:
    """Let no error out that tells a secret: Ray writes each into its logs.

    One with words that cannot be changed becomes a RuntimeError that tells the rest.
    """
    try:
        yield
    except Exception as error:
        if clean(error):
            raise
        raise RuntimeError(redacted("".join(traceback.format_exception(error)))) from None


class Listener:
    """The driver's side: logs each warning once, and hears what is counted."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._heard: dict[str, int] = {}
        self._next_count = 0.0

    def listen(self, *, is_last: bool = False) -> None:
        """Log what is new, and take in the counts: now and then, or for the last time."""
        if is_last or time.monotonic() >= self._next_count:
            self._next_count = time.monotonic() + _PAUSE_SECONDS
            for told in self._channel.told():
                COUNTS.hear(told)
        for source, warnings in self._channel.warnings().items():
            for warning in warnings:
                if warning["number"] > self._heard.get(source, 0):
                    self._heard[source] = warning["number"]
                    about = {"trial": warning.get("trial")}
                    log.log(warning["level"], "%s", warning["text"], extra=about)
