"""Following a submitted job to its end: each change told in one line, what the status hides too."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cifar_dist.errors import InterruptedRunError, PreemptedError, RunError
from cifar_dist.submission.causes import why_pending, worth_asking
from cifar_dist.submission.door import Door, ForbiddenError, NotFoundError
from cifar_dist.submission.observed import (
    QUEUE_LABEL,
    Object,
    Outcome,
    dig,
    is_ready,
    name_of,
    number,
    outcome,
    state,
    text,
    uid_of,
)
from cifar_dist.submission.patience import Patience
from cifar_dist.submission.snapshot import Snapshot, events_of, look

__all__ = ["Outcome", "follow"]

_POLL_SECONDS = 2.0
_EVENTS_EVERY = 3  # looks: events come late and are a request for each object
_RESUMES = "the driver resumes from what is committed in the store"

Tell = Callable[[str], None]


def follow(
    door: Door,
    name: str,
    tell: Tell,
    show: Callable[[Snapshot], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Tell each change of a RayJob until it ends, and how it ended; `show` gets every look.

    A cluster that does not answer is waited for. Raises NotFoundError if there is no such job,
    UnreachableError after an hour without an answer.
    """
    watch = _Watch(door, name, tell, show, Patience(name, tell))
    while True:
        ended = watch.look()
        if ended is not None:
            return ended
        sleep(_POLL_SECONDS)


@dataclass
class _Watch:
    """What was told already."""

    door: Door
    name: str
    tell: Tell
    show: Callable[[Snapshot], None]
    patience: Patience
    looks: int = 0
    head: str = ""
    """Identity of the head pod that was seen last."""
    is_head_ready: bool = False
    workers: tuple[int, int] = (0, 0)
    """Ready and wanted, as last told."""
    stage: str = ""
    started: str = ""
    """When the driver that runs began."""
    failures: int = 0
    causes: dict[str, str] = field(default_factory=dict)
    """What was told of why it waits, by its words without numbers."""

    def look(self) -> Outcome | None:
        """Look once and tell what is new."""
        try:
            seen = look(self.door, self.name)
        except NotFoundError:
            if not self.patience.has_seen:
                raise
            said = "the RayJob was deleted; submit it again and it goes on from the store"
            return Outcome("stopped", InterruptedRunError.exit_code, said)
        except (RunError, ForbiddenError) as error:
            self.patience.bear(error)
            return None
        self.patience.answered()
        ended = outcome(seen.job) or _suspended(seen.job)
        if ended is None:
            self._tell_changes(seen)
            self.looks += 1
        self.show(seen)
        if ended is None:
            return None
        return self._with_cause(seen.job, ended)

    def _tell_changes(self, seen: Snapshot) -> None:
        self._tell_retry(seen.job)
        if state(seen.job) in _WITHOUT_CLUSTER:
            self._forget_cluster()
        else:
            self._tell_head(seen)
            self._tell_workers(seen)
        self._tell_stage(seen.job)
        if self.looks % _EVENTS_EVERY == _EVENTS_EVERY - 1 and worth_asking(seen.job, seen.pods):
            self._tell_causes(seen)

    def _tell_retry(self, job: Object) -> None:
        failures = number(job, "status", "failed")
        if failures > self.failures:
            limit = number(job, "spec", "backoffLimit") + 1
            said = f"attempt {failures} of {limit} failed; retrying with a new cluster, {_RESUMES}"
            self.tell(said)
            self._forget_cluster()
        self.failures = failures

    def _forget_cluster(self) -> None:
        self.head, self.started, self.is_head_ready = "", "", False
        self.workers, self.causes = (0, 0), {}

    def _tell_head(self, seen: Snapshot) -> None:
        head = seen.head
        if self.head and uid_of(head) != self.head:
            if self.is_head_ready:
                self.tell(f"the head was lost and is started again; then {_RESUMES}")
            self.is_head_ready = False
        self.head = uid_of(head) or self.head
        if head is not None and is_ready(head) and not self.is_head_ready:
            self.is_head_ready = True
            self.tell(
                f"head ready: {name_of(head)} on {text(head, 'spec', 'nodeName') or 'a node'}"
            )

    def _tell_workers(self, seen: Snapshot) -> None:
        counts = seen.ready, seen.wanted
        if counts != self.workers:
            said = f"worker {seen.ready} of {seen.wanted} ready"
            self.tell(said if seen.wanted else "no worker is wanted now")
        self.workers = counts

    def _tell_stage(self, job: Object) -> None:
        stage = state(job)
        started = text(job, "status", "rayJobInfo", "startTime")
        if stage != self.stage:
            self.tell(_STAGES.get(stage, stage).format(name=self.name))
        elif stage == "running" and self.started and started not in ("", self.started):
            self.tell(f"the driver was submitted again; {_RESUMES}")
        self.stage = stage
        self.started = started or self.started

    def _tell_causes(self, seen: Snapshot) -> None:
        try:
            events: Sequence[Object] = events_of(self.door, seen)
        except (RunError, ForbiddenError, NotFoundError):
            return
        now = {_without_numbers(cause): cause for cause in why_pending(seen.job, seen.pods, events)}
        for key, cause in now.items():
            if key not in self.causes:
                self.tell(f"waiting: {cause}")
        self.causes |= now

    def _with_cause(self, job: Object, ended: Outcome) -> Outcome:
        """Add to a deadline of the operator what was last seen to be in the way."""
        is_late = text(job, "status", "reason") == "PreRunningDeadlineExceeded"
        if is_late and self.causes:
            last = list(self.causes.values())[-1]
            ended = Outcome(ended.state, ended.exit_code, f"{ended.reason}; last seen: {last}")
        self.tell(f"{ended.state}: {ended.reason}")
        return ended


_WITHOUT_CLUSTER = ("suspended", "retrying", "ending")
_STAGES = {
    "waiting": "waiting for the cluster of {name}",
    "starting": "the cluster is ready; the driver is being submitted",
    "running": "running; its log: cifar-dist submit logs {name} --follow",
    "retrying": "the failed attempt's cluster is being removed",
    "suspended": "suspended: it waits in its queue and holds no resources",
    "ending": "the RayJob is being deleted",
}


def _suspended(job: Object) -> Outcome | None:
    """Take a suspended job for ended unless a queue will let it go on."""
    is_queued = text(job, "metadata", "labels", QUEUE_LABEL)
    if state(job) != "suspended" or is_queued or not dig(job, "spec", "suspend"):
        return None
    said = "it was suspended; set spec.suspend to false and it goes on from the store"
    return Outcome("suspended", PreemptedError.exit_code, said)


def _without_numbers(cause: str) -> str:
    return "".join(letter for letter in cause if not letter.isdecimal())
