"""How often a run was resumed, on how many workers, and what storage took from its training."""

from collections.abc import Sequence
from itertools import pairwise

from cifar_dist.documents import AttemptRecord, StorageCost
from cifar_dist.report.formats import counted, duration, size


def resumptions(attempts: Sequence[AttemptRecord]) -> list[str]:
    """Say how often a run was resumed, and where the number of its workers changed."""
    times = len(attempts) - 1
    if times < 1:
        return []
    last = attempts[-1].resumed_step
    where = "from its beginning" if last is None else f"at step {last:,}"
    often = f"{counted(times, 'time')}, the last one {where}" if times > 1 else f"once, {where}"
    return [f"The run was resumed {often}.", *_changes(attempts)]


def attempt_line(attempt: AttemptRecord) -> str:
    """Say where an attempt began and on how many workers."""
    began = "the beginning" if attempt.resumed_step is None else f"step {attempt.resumed_step:,}"
    return f"{attempt.number} from {began} with {counted(attempt.workers, 'worker')}"


def storage_line(cost: StorageCost) -> str:
    """Say what was committed and how long training stood still for it."""
    overtaken = f", {cost.superseded:,} overtaken by newer ones" if cost.superseded else ""
    return (
        f"{counted(cost.committed, 'checkpoint')} of {size(cost.sent_bytes)} in all{overtaken}; "
        f"training waited {duration(cost.waited_seconds)}"
    )


def _changes(attempts: Sequence[AttemptRecord]) -> list[str]:
    return [
        f"The run was resumed at step {now.resumed_step:,} with "
        f"{counted(now.workers, 'worker')} after {before.workers:,}: same batches and images, "
        "not bit for bit."
        for before, now in pairwise(attempts)
        if now.workers != before.workers and now.resumed_step is not None
    ]
