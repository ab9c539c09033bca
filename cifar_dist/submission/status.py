"""The rows of `submit ls` and `submit status`."""

from collections.abc import Sequence

from cifar_dist.documents.submitted import SubmissionRow
from cifar_dist.submission.causes import why_pending, worth_asking
from cifar_dist.submission.door import Door, ForbiddenError
from cifar_dist.submission.observed import (
    KIND_LABEL,
    RUN_LABEL,
    Object,
    age_seconds,
    dig,
    name_of,
    number,
    outcome,
    state,
    text,
)
from cifar_dist.submission.snapshot import Snapshot, events_of, listed, look, nodes_of


def rows(door: Door) -> list[SubmissionRow]:
    """List the submitted jobs of a namespace, newest first, by one request."""
    jobs = sorted(listed(door), key=lambda job: text(job, "metadata", "creationTimestamp"))
    return [row(job) for job in reversed(jobs)]


def status(door: Door, name: str) -> SubmissionRow:
    """Give one job's row, with what keeps it waiting. Raises NotFoundError."""
    seen = look(door, name)
    found = row(seen.job)
    has_ended = outcome(seen.job) is not None
    if not has_ended:
        found = found.model_copy(
            update={"workers_ready": seen.ready, "workers_wanted": seen.wanted}
        )
    if has_ended or not worth_asking(seen.job, seen.pods):
        return found
    return found.model_copy(update={"causes": _causes(door, seen)})


def _causes(door: Door, seen: Snapshot) -> list[str]:
    try:
        events = events_of(door, seen)
    except ForbiddenError:
        events = []  # the pods alone tell some
    is_unplaced = any(text(event, "reason") == "FailedScheduling" for event in events)
    nodes: Sequence[Object] = nodes_of(door) if is_unplaced else ()
    return why_pending(seen.job, seen.pods, events, nodes)


def row(job: Object) -> SubmissionRow:
    """Make the row of a RayJob from its own status alone."""
    ended = outcome(job)
    labels = dig(job, "metadata", "labels")
    cluster = dig(job, "status", "rayClusterStatus")
    return SubmissionRow(
        name=name_of(job),
        kind=text(labels, KIND_LABEL) or None,
        state=state(job),
        age_seconds=age_seconds(text(job, "metadata", "creationTimestamp")),
        workers_ready=number(cluster, "readyWorkerReplicas"),
        workers_wanted=number(cluster, "desiredWorkerReplicas"),
        run=text(labels, RUN_LABEL) or None,
        exit_code=ended.exit_code if ended else None,
        reason=ended.reason if ended else None,
    )
