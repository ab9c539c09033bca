"""Stopping a submitted job so that its driver commits first, and taking its cluster away."""

import time
from collections.abc import Callable

from cifar_dist.errors import CifarDistError
from cifar_dist.submission.door import Door, NotFoundError, UnreachableError
from cifar_dist.submission.observed import (
    Object,
    dig,
    is_ready,
    items,
    name_of,
    outcome,
    state,
    text,
)
from cifar_dist.submission.snapshot import JOBS, Snapshot, look

_POLL_SECONDS = 2.0
_WAIT = "RAY_JOB_STOP_WAIT_TIME_S"
_USUAL_SECONDS = 120
_BESIDE_SECONDS = 60.0  # that the operator may take to see the end
Tell = Callable[[str], None]
Ask = Callable[[Snapshot], None]


def stop(
    door: Door, name: str, tell: Tell, ask: Ask, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Stop a job and remove its RayJob and cluster. Raises NotFoundError if there is none.

    Deleting alone would let the operator ask Ray to stop and take the pods away in the same second,
    and suspending would not even ask. So Ray is asked by `ask`, and the driver's end awaited.
    """
    seen = look(door, name)
    if state(seen.job) in ("running", "starting") and _asked(ask, seen, tell):
        _await_end(door, seen, tell, sleep)
    door.text("delete", JOBS, name, "--ignore-not-found", "--wait=false")
    tell(f"{name} is deleted; its pods go within a minute, what it committed stays in the store")


def _asked(ask: Ask, seen: Snapshot, tell: Tell) -> bool:
    """Ask Ray to stop the driver; where that may not be done, say what it means."""
    if not text(seen.job, "status", "jobId") or seen.head is None or not is_ready(seen.head):
        return False
    try:
        ask(seen)
    except UnreachableError:
        raise
    except CifarDistError as error:
        tell(
            f"the driver cannot be asked from here ({error}); the operator stops it, and work "
            "since the last commit is done again by a later run"
        )
        return False
    tell("the driver was asked to stop; it commits first")
    return True


def _await_end(door: Door, seen: Snapshot, tell: Tell, sleep: Callable[[float], None]) -> None:
    seconds = _drain_seconds(seen.job) + _BESIDE_SECONDS
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if outcome(look(door, name_of(seen.job)).job) is not None:
                return
        except NotFoundError:
            return
        sleep(_POLL_SECONDS)
    tell(f"the driver did not end within {seconds:.0f} s; its cluster is taken away")


def _drain_seconds(job: Object) -> int:
    """Read how long Ray lets a driver commit before it is killed."""
    head = dig(job, "spec", "rayClusterSpec", "headGroupSpec", "template", "spec")
    for container in items(head, "containers"):
        for entry in items(container, "env"):
            said = text(entry, "value")
            if entry.get("name") == _WAIT and said.isdecimal():
                return int(said)
    return _USUAL_SECONDS
