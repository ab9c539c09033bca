"""One log format, on stderr, set up once in a process; no record of any library tells a secret."""

import logging
import sys
from collections.abc import Callable
from typing import Any

from cifar_dist.problems import printable
from cifar_dist.redaction import redacted

ROOT = "cifar_dist"
_LONGEST = 2048  # characters of a record


def configure(level: int = logging.INFO) -> None:
    """Send this package's records to stderr; a second call only changes the level."""
    protect()
    logger = logging.getLogger(ROOT)
    logger.setLevel(level)
    if logger.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logger.addHandler(handler)
    logger.propagate = False
    # Without a home to write to it warns in every run, and does well with a temporary folder.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def protect() -> None:
    """Take secrets out of all of this process's records as they are made.

    A filter would not do: a logger's sees no record of the loggers below it, and a handler's would
    have to be on each one that any library adds.
    """
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _Redacting):
        logging.setLogRecordFactory(_Redacting(factory))


class _OneLine(logging.Formatter):
    """Lets no text of a record begin a line of its own, steer a terminal or go on for ever."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        text = "\\n".join(super().formatMessage(record).splitlines())
        return f"{text[:_LONGEST]}…" if len(text) > _LONGEST else text

    def format(self, record: logging.LogRecord) -> str:
        return "\n    ".join(printable(super().format(record)).split("\n"))


class _Redacting:
    """Makes records as another factory does, and takes the secrets out of them."""

    def __init__(self, factory: Callable[..., logging.LogRecord]) -> None:
        self._factory = factory

    def __call__(self, *given: Any, **named: Any) -> logging.LogRecord:
        record = self._factory(*given, **named)
        try:
            said = record.getMessage()
        except Exception:  # noqa: BLE001 - a library's argument may raise anything as it is written
            # Where arguments do not fit, logging would print them as they are.
            said = record.msg if isinstance(record.msg, str) else "a record that cannot be shown"
            record.msg, record.args = said, ()
        if (text := redacted(said)) != said:
            record.msg, record.args = text, ()
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = redacted(logging.Formatter().formatException(record.exc_info))
        return record
