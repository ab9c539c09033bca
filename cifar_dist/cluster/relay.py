"""Workers' warnings, brought to the driver's log: it is the only one that a person sees."""

import logging
import traceback
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cifar_dist.cluster.channel import Channel
from cifar_dist.counts import COUNTS
from cifar_dist.logs import ROOT, protect
from cifar_dist.redaction import clean, redacted

_KEPT = 20  # newest warnings of a process that were perhaps not told yet
_LENGTH = 500  # characters of one

log = logging.getLogger(__name__)


class Relay(logging.Handler):
    """A worker's side: leaves this package's warnings in a channel, numbered."""

    def __init__(self, channel: Channel, speaker: str) -> None:
        super().__init__(logging.WARNING)
        self.speaker = speaker
        """Who warns, in the words of the driver's log."""
        self.trial: int | None = None
        """Which trial of a sweep it trains."""
        self._channel, self._source = channel, uuid.uuid4().hex
        self._newest: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Leave a warning; what has a traceback is told as the reason of a failure instead."""
        if record.exc_info:
            return
        self._count += 1
        text = f"{self.speaker}: {record.getMessage()}"[:_LENGTH]
        told = {"number": self._count, "level": record.levelno, "text": text, "trial": self.trial}
        if self._newest:
            self._newest[-1].pop("counts", None)  # sums: the newest say all
        self._newest.append({**told, "counts": COUNTS.told()})
        self._channel.warn(self._source, list(self._newest))

    def open(self) -> None:
        """Begin to listen; from now on no record of this process tells a secret."""
        protect()
        logging.getLogger(ROOT).addHandler(self)

    def close(self) -> None:
        """Listen no more."""
        logging.getLogger(ROOT).removeHandler(self)
        super().close()


@contextmanager
def relayed(channel: Channel, speaker: str) -> Iterator[Relay]:
    """Relay the warnings of this process meanwhile; an error leaves it without secrets."""
    relay = Relay(channel, speaker)
    relay.open()
    try:
        with without_secrets():
            yield relay
    finally:
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
    """The driver's side: logs each warning once."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._heard: dict[str, int] = {}

    def listen(self) -> None:
        """Log what is new."""
        for source, warnings in self._channel.warnings().items():
            for warning in warnings:
                if warning["number"] > self._heard.get(source, 0):
                    self._heard[source] = warning["number"]
                    COUNTS.hear(warning.get("counts"))
                    log.log(
                        warning["level"], "%s", warning["text"], extra={"trial": warning["trial"]}
                    )
