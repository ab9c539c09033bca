"""When this machine is taken away, as Ray knows it: a spot machine's notice, a node's drain."""

import logging
import time
from collections.abc import Collection
from functools import cache
from threading import Thread

import ray
import ray.train
from ray.exceptions import RayActorError

from cifar_dist.counts import COUNTS

log = logging.getLogger(__name__)

_POLL_SECONDS = 5.0  # as often as Ray Train itself looks
_UNKNOWN_SECONDS = 30.0  # where no deadline is told: the shortest notice that a cloud gives
_OVERDUE_SECONDS = 60.0  # a machine that is still here so long after its time stays


def group_seconds_left() -> float | None:
    """Give the time that the first machine of a group of Ray Train has left, None without notice.

    A barrier: every worker of the group calls it as often. Ray's API for it is an alpha one.
    """
    try:
        info = ray.train.get_preemption_info()
        if info is None:
            return None
        _note(getattr(info, "preempted_node_to_ranks", ()))
        return _left(info.deadline_ms)
    except (AttributeError, TypeError, RayActorError):
        return None


class NodeNotice:
    """Watches, in a thread of its own, for the drain of the machine that this process runs on.

    For a worker outside of Ray Train.
    """

    def __init__(self) -> None:
        self._deadline_ms: int | None = None
        self._is_draining = False
        if ray.is_initialized():
            Thread(target=self._watch, daemon=True).start()

    def seconds_left(self) -> float | None:
        """Give the time that this machine has left, None without notice."""
        return _left(self._deadline_ms) if self._is_draining else None

    def _watch(self) -> None:
        node = ray.get_runtime_context().get_node_id()
        while not self._is_draining:
            draining = _draining()
            if node in draining:
                self._deadline_ms, self._is_draining = draining[node], True
                _note([node])
            time.sleep(_POLL_SECONDS)


def _note(nodes: Collection[str]) -> None:
    """Tell machines by their ids: many workers hear of one, and the driver counts it once."""
    COUNTS.preempted(nodes)
    if nodes and ray.get_runtime_context().get_node_id() in nodes:
        _warn()


@cache
def _warn() -> None:
    log.warning("this machine is to be taken away; committing what there is")


def _draining() -> dict[str, int]:
    """Give the deadline of every machine that is drained, in ms since 1970; 0 is unknown."""
    # What Ray Train asks, too; waits while the head is away.
    try:
        found: dict[str, int] = ray._private.state.state.get_draining_nodes()
    except (AttributeError, ray.exceptions.RayError):
        return {}
    return found


def _left(deadline_ms: int | None) -> float | None:
    if not deadline_ms:
        return _UNKNOWN_SECONDS
    left = deadline_ms / 1000 - time.time()
    return max(0.0, left) if left > -_OVERDUE_SECONDS else None
