"""The log of a submitted job: what its head's container prints, from one head to the next."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from cifar_dist.errors import CifarDistError, ConfigError, RunError
from cifar_dist.problems import printable
from cifar_dist.redaction import redacted
from cifar_dist.submission.door import Door, ForbiddenError, NotFoundError, UnreachableError
from cifar_dist.submission.jobs_api import JobsApi
from cifar_dist.submission.observed import name_of, outcome, ready_since, text, uid_of
from cifar_dist.submission.patience import Patience
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

    A cluster that does not answer is waited for, as by `watch.follow`.
    """
    log, patience = HeadLog(door, count, tell), Patience(name, tell)
    while True:
        try:
            seen = look(door, name)
        except NotFoundError:
            if not patience.has_seen:
                raise
            return
        except (RunError, ForbiddenError) as error:
            patience.bear(error)
        else:
            patience.answered()
            yield from log.new(seen)
            if outcome(seen.job) is not None:
                return
        sleep(_POLL_SECONDS)


@dataclass
class HeadLog:
    """What was read of the log of a job's head, which is the driver's.

    The container outlives the driver, so its log is read again and again: a stream would not end.
    """

    door: Door
    count: int
    """Lines to begin with."""
    tell: Tell
    head: str = ""
    """Identity of the head that was read last."""
    last: str = ""
    """Time of the line that was read last."""
    is_refused: bool = False

    def new(self, seen: Snapshot) -> Iterator[str]:
        """Give the lines that came since the last look; none where there is no log to read now."""
        started = text(seen.job, "status", "rayJobInfo", "startTime")
        if seen.head is None or not (started or outcome(seen.job)):
            return  # all that its log has is how Ray starts
        if uid_of(seen.head) != self.head:
            if self.head:
                # The status may still tell of the driver that was lost.
                if not (started := ready_since(seen.head)):
                    return
                self.tell("the log goes on in a new head")
            self.head, self.last = uid_of(seen.head), ""
        begin = [f"--since-time={since}"] if (since := self.last or started) else []
        begin += [] if self.last else [f"--tail={self.count}"]
        for each in self._read(name_of(seen.head), begin).splitlines():
            stamp, _, words = each.partition(" ")
            if stamp > self.last:  # --since-time counts whole seconds
                self.last = stamp
                yield _clean(words)

    def _read(self, head: str, begin: list[str]) -> str:
        try:
            return self.door.text("logs", head, "-c", _CONTAINER, "--timestamps", _MOST, *begin)
        except ForbiddenError as error:
            if not self.is_refused:
                self.tell(_unread(error))
            self.is_refused = True
        except (RunError, ConfigError):  # the pod is gone, its container not begun, no answer
            pass
        return ""


def _unread(error: CifarDistError) -> str:
    return f"the log cannot be read now: {error}; how the job stands is watched all the same"


def spoken(said: str) -> str:
    """Give what a line says to people: the message alone of one that is a JSON log record."""
    with suppress(ValueError):
        record = json.loads(said)
        if isinstance(record, dict) and isinstance(record.get("message"), str):
            level = record.get("level", "INFO")
            return record["message"] if level == "INFO" else f"{level} {record['message']}"
    return said


def _clean(said: str) -> str:
    return printable(redacted(said))


def read_again(
    jobs: JobsApi,
    name: str,
    count: int,
    tell: Tell,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[str]:
    """Give the lines of a job of a Ray cluster until it ends; its API gives a log only as a whole.

    A cluster that does not answer is waited for, as by `watch.follow`; a log that cannot be read
    is told of once.
    """
    patience = Patience(name, tell)
    told: int | None = None
    is_refused = False
    while True:
        try:
            has_ended = jobs.status(name).exit_code is not None
            patience.answered()
        except (RunError, ForbiddenError) as error:
            patience.bear(error)
            sleep(_READ_SECONDS)
            continue
        try:
            lines = jobs.log(name)
            yield from lines[max(len(lines) - count, 0) if told is None else told :]
            told = len(lines)
        except (RunError, ForbiddenError) as error:
            if not (is_refused or isinstance(error, UnreachableError)):
                tell(_unread(error))
                is_refused = True
        if has_ended:
            return
        sleep(_READ_SECONDS)
