"""How many trials run at once, and what each of them reserves."""

import logging
import os
from dataclasses import dataclass

from cifar_dist.cluster.connection import Cluster, require
from cifar_dist.config import Placement
from cifar_dist.device import usable_gpus
from cifar_dist.errors import RunError
from cifar_dist.machine import owned_cpus

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Slots:
    """Equal places for trials on a cluster."""

    count: int
    """Trials at once."""
    placement: Placement
    """One trial's, with nothing left open."""

    @property
    def workers(self) -> int:
        """Processes that train one trial together."""
        return self.placement.workers or 1

    @property
    def worker(self) -> dict[str, float]:
        """What one of them reserves."""
        shares = {"CPU": self.placement.cpus_per_worker, "GPU": self.placement.gpus_per_worker}
        return {name: share for name, share in shares.items() if share}


def slots_for(placement: Placement, cluster: Cluster) -> Slots:
    """Choose one CPU for a worker, and a GPU where there are any, unless the placement says more.

    Raises DeviceError if not even one trial fits: it would wait for its workers for ever.
    Raises RunError if nobody would clear up after a lost one.
    """
    gpus = cluster.gpus_per_worker(placement)
    cpus = placement.cpus_per_worker or 1.0
    workers = placement.workers or 1
    require(cluster, workers, cpus, gpus)
    if workers > 1 and cluster.dashboard is None:
        raise RunError(
            "trials of several workers need the cluster's dashboard, by which Ray frees what a "
            "lost trial held; start its head with --include-dashboard=true"
        )
    count = cluster.room(cpus, gpus) // workers
    asked = placement.concurrency or count
    if asked > count:
        log.warning("concurrency lowered from=%d to=%d, what the cluster holds", asked, count)
    chosen = {"workers": workers, "cpus_per_worker": cpus, "gpus_per_worker": gpus}
    return Slots(min(asked, count), placement.model_copy(update=chosen))


def check_here(placement: Placement) -> None:
    """Raise DeviceError if no trial fits on this machine; a named cluster looks at its own."""
    if "RAY_ADDRESS" not in os.environ:
        here = Cluster(((owned_cpus(), usable_gpus()),), dashboard="starts with the cluster")
        slots_for(placement.model_copy(update={"concurrency": None}), here)
