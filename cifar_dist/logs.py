"""What this process says on stderr, as text or JSON; no record of any library tells a secret."""

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cifar_dist.problems import escaped, printable
from cifar_dist.redaction import redacted

ROOT = "cifar_dist"
_LONGEST = 2048  # characters of a record


@dataclass
class _Manner:
    is_json: bool = False
    run: str | None = None


_manner = _Manner()


def configure(level: int = logging.INFO, *, as_json: bool = False) -> None:
    """Send this package's records to stderr; a second call only changes level and format.

    As JSON also what libraries, Python's warnings and threads that fail would write there as text.
    """
    protect()
    _manner.is_json = as_json
    logger = logging.getLogger(ROOT)
    logger.setLevel(level)
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
        logger.propagate = False
        # Without a home to write to it warns in every run, and does well with a temporary folder.
        logging.getLogger("matplotlib").setLevel(logging.ERROR)
    logging.captureWarnings(as_json)
    if as_json:
        logging.getLogger().addHandler(logger.handlers[0])
        threading.excepthook = _thread_failed


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None and failed.exc_type is not SystemExit:
        name = failed.thread.name if failed.thread else "unknown"
        log = logging.getLogger(__name__)
        log.error("thread %s failed", name, exc_info=failed.exc_value)


def is_json() -> bool:
    """Tell whether each line on stderr is a JSON object."""
    return _manner.is_json


@contextmanager
def about(run: str) -> Iterator[None]:
    """Name a run or sweep in the JSON lines of this process meanwhile."""
    before, _manner.run = _manner.run, run
    try:
        yield
    finally:
        _manner.run = before


def line(message: str, level: int = logging.INFO, trial: int | None = None) -> str:
    """Write what a person is told in the chosen format, with its line break."""
    if not _manner.is_json:
        return f"{printable(message)}\n"
    record = logging.LogRecord(f"{ROOT}.cli", level, "", 0, redacted(message), (), None)
    record.trial = trial
    return f"{_as_json(record, record.getMessage())}\n"


def _shortened(text: str) -> str:
    return f"{text[:_LONGEST]}…" if len(text) > _LONGEST else text


def _as_json(record: logging.LogRecord, text: str) -> str:
    """Write a record as one JSON object: `run` and `trial` are there where they are known."""
    if record.exc_text:
        text = f"{text}\n{record.exc_text}"
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    known = {"run": _manner.run, "trial": getattr(record, "trial", None)}
    said = {
        "time": moment.replace("+00:00", "Z"),
        "level": record.levelname,
        "logger": record.name,
        "message": text,
        **{name: value for name, value in known.items() if value is not None},
    }
    return escaped(json.dumps(said, ensure_ascii=False))


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
        return _shortened(text)

    def format(self, record: logging.LogRecord) -> str:
        if _manner.is_json:
            return _as_json(record, _shortened(record.getMessage()))
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
