"""The log of a submitted job: what its head's container prints, from one head to the next."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from cifar_dist.errors import ConfigError, RunError
from cifar_dist.problems import printable
from cifar_dist.redaction import redacted
from cifar_dist.submission.door import Door, NotFoundError, UnreachableError
from cifar_dist.submission.jobs_api import JobsApi
from cifar_dist.submission.observed import name_of, outcome, text, uid_of
from cifar_dist.submission.snapshot import Snapshot, look

_CONTAINER = "ray-head"
_MOST = "--limit-bytes=8000000"  # of one reading
_POLL_SECONDS = 2.0
_READ_SECONDS = 5.0  # between two readings of a log that comes as a whole

Tell = Callable[[str], None]


def last_lines(door: Door, name: str, count: int) -> list[str]:
    """Read the last lines of the head that there is now. Raises ConfigError without one."""
    seen = look(door, name)
    head = seen.head
    if head is None:
        raise ConfigError(
            f"{name} has no head pod now, and its log went with it; reports and ledger lie in the "
            "store (`artifacts ls`)"
        )
    said = door.text("logs", name_of(head), "-c", _CONTAINER, f"--tail={count}", _MOST)
    return [_clean(each) for each in said.splitlines()]


def followed(
    door: Door, name: str, count: int, tell: Tell, sleep: Callable[[float], None] = time.sleep
) -> Iterator[str]:
    """Give the driver's lines as they come until the job ends, a new head's after a lost one's.

    The container outlives the driver, so its log is read again and again: a stream would not end.
    """
    head, last = "", ""
    for seen in _looks(door, name, sleep):
        started = text(seen.job, "status", "rayJobInfo", "startTime")
        if seen.head is None or not (started or outcome(seen.job)):
            continue  # all that its log has is how Ray starts
        if uid_of(seen.head) != head:
            if head:
                tell("the log goes on in a new head")
            head, last = uid_of(seen.head), ""
        begin = [f"--since-time={since}"] if (since := last or started) else []
        begin += [] if last else [f"--tail={count}"]
        for stamp, said in _since(door, name_of(seen.head), begin, last):
            last = stamp
            yield _clean(said)


def spoken(said: str) -> str:
    """Give what a line says to people: the message alone of one that is a JSON log record."""
    with suppress(ValueError):
        record = json.loads(said)
        if isinstance(record, dict) and isinstance(record.get("message"), str):
            level = record.get("level")
            return record["message"] if level == "INFO" else f"{level} {record['message']}"
    return said


def _looks(door: Door, name: str, sleep: Callable[[float], None]) -> Iterator[Snapshot]:
    """Look again and again until the job has ended or is deleted; an outage is passed over."""
    seen = look(door, name)
    while True:
        yield seen
        if outcome(seen.job) is not None:
            return
        sleep(_POLL_SECONDS)
        try:
            with suppress(UnreachableError):
                seen = look(door, name)
        except NotFoundError:
            return


def _since(door: Door, head: str, begin: list[str], last: str) -> Iterator[tuple[str, str]]:
    """Give time and words of each line after `last`; none where there is no log to read now."""
    try:
        said = door.text("logs", head, "-c", _CONTAINER, "--timestamps", _MOST, *begin)
    except (RunError, ConfigError):  # the pod is gone, its container not begun, no answer
        return
    for each in said.splitlines():
        stamp, _, words = each.partition(" ")
        if stamp > last:  # --since-time counts whole seconds
            yield stamp, words


def _clean(said: str) -> str:
    return printable(redacted(said))


def read_again(
    jobs: JobsApi, name: str, count: int, sleep: Callable[[float], None] = time.sleep
) -> Iterator[str]:
    """Give the lines of a job of a Ray cluster until it ends; its API gives a log only as a whole.

    A cluster that does not answer for a moment is asked again.
    """
    told: int | None = None
    while True:
        try:
            has_ended = jobs.status(name).exit_code is not None
            lines = jobs.log(name)
        except UnreachableError:
            if told is None:
                raise
            sleep(_READ_SECONDS)
            continue
        yield from lines[max(len(lines) - count, 0) if told is None else told :]
        told = len(lines)
        if has_ended:
            return
        sleep(_READ_SECONDS)
