"""What the driver looks after while workers work: the cluster's head, room for them, warnings."""

import logging
import os
import time

from cifar_dist.cluster.channel import Channel
from cifar_dist.cluster.connection import Cluster, address, machines
from cifar_dist.cluster.relay import Listener
from cifar_dist.config import Placement
from cifar_dist.errors import PreemptedError

_LIMIT = "RAY_gcs_rpc_server_reconnect_timeout_s"
_PAUSE_SECONDS = 1.0
_SHORTAGE_SECONDS = 10.0
_GRACE_SECONDS = 20.0  # a good end took up to 14; later Ray would end this process itself

log = logging.getLogger(__name__)


class Watch:
    """The watch over one run or sweep, whose placement has nothing left open."""

    def __init__(self, channel: Channel, placement: Placement) -> None:
        self.channel, self._placement = channel, placement
        self._listener = Listener(channel)
        self._next_look = 0.0
        self._short_since: float | None = None
        self._told_shortage = False
        # Ray's own setting, longer where a head can be restarted.
        limit = float(os.environ.get(_LIMIT, "60"))
        self._patience_seconds = max(limit - _GRACE_SECONDS, _GRACE_SECONDS)

    def look(self) -> None:
        """Log what is worth it, at most once a second; raises PreemptedError if the head is gone.

        Ray itself would kill this process a little later, in the midst of whatever it does.
        """
        if time.monotonic() < self._next_look:
            return
        self._listener.listen()
        if self.channel.silent_seconds > self._patience_seconds:
            raise self.head_lost()
        if self.channel.silent_seconds == 0:
            self._look_for_room()
        self._next_look = time.monotonic() + _PAUSE_SECONDS

    def end(self) -> None:
        """Log and count what came last."""
        self._listener.listen(is_last=True)

    @property
    def is_head_away(self) -> bool:
        """Whether the head did not answer when it was asked last."""
        return self.channel.silent_seconds > 0

    def head_lost(self) -> PreemptedError:
        """Say that without its head a cluster does nothing any more, and how to go on."""
        name = self.channel.name.split("/")[1]
        return PreemptedError(
            f"the head of the Ray cluster at {address()} has not answered for "
            f"{self.channel.silent_seconds:.0f} s; what is committed is kept, go on with "
            f"`cifar-dist resume {name}`"
        )

    def _look_for_room(self) -> None:
        if not (there := machines()):
            return  # the head went away just now
        placement = self._placement
        cpus, gpus = placement.cpus_per_worker or 0.0, placement.gpus_per_worker or 0.0
        room = Cluster(there, dashboard=None).room(cpus, gpus)
        now, workers = time.monotonic(), placement.workers or 1
        if room >= workers:
            self._short_since, self._told_shortage = None, False
            return
        self._short_since = now if self._short_since is None else self._short_since
        if now - self._short_since >= _SHORTAGE_SECONDS and not self._told_shortage:
            self._told_shortage = True
            share = f"{cpus:g} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
            log.warning(
                "waiting for machines: the cluster has room for %d of %d workers of %s",
                room, workers, share,
            )  # fmt: skip
