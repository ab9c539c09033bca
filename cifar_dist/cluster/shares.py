"""What share of a machine a trial gets where that is left open: CPUs, or a part of a GPU."""

import logging
import math
import os
from typing import Any

from cifar_dist.cluster.connection import Cluster
from cifar_dist.config import Placement
from cifar_dist.device import gpu_free_bytes, usable_gpus
from cifar_dist.probe import gpu_bytes, thread_seconds
from cifar_dist.runs import SHARE, Sweep
from cifar_dist.search import Space
from cifar_dist.session import recipe_data

log = logging.getLogger(__name__)
_MARGIN = 1.05  # more threads must beat fewer by more than the noise
_CONTEXT_BYTES = 700 * 1024**2  # of a process on a GPU, beside what torch allocates
_ROOM = 0.9  # of a GPU's free memory that trials may fill together
_MOST = 8  # trials on one GPU, which takes turns between them
_FINEST = 10_000  # parts of a GPU that Ray tells apart


def placement_of(space: Space, sweep: Sweep, trials: int, cluster: Cluster) -> Placement:
    """Give the placement of a sweep's trials, with what its one verdict leaves to each.

    Sums of other numbers of threads round otherwise, so the first attempt decides for all; what
    fits no more is lowered.
    """
    placement = space.job.placement
    is_said = placement.cpus_per_worker is not None or placement.concurrency is not None
    if is_said or (placement.workers or 1) > 1:
        return placement
    if not cluster.gpus_per_worker(placement):
        return placement.model_copy(update=_cpus(space, sweep, trials, cluster))
    return placement.model_copy(update=_gpus(space, sweep, trials, cluster))


def trials_per_gpu(need_bytes: int, free_bytes: int, wanted: int) -> int:
    """Count the trials that fit one GPU's memory, each with a context of its own; at least one."""
    fit = int(_ROOM * free_bytes // (need_bytes + _CONTEXT_BYTES))
    return max(1, min(fit, wanted, _MOST))


def _cpus(space: Space, sweep: Sweep, trials: int, cluster: Cluster) -> dict[str, Any]:
    verdict = sweep.recorded(SHARE)
    if verdict is None:
        begun = next(sweep.events(), None) is not None  # by an earlier version, on one CPU each
        verdict = sweep.record(SHARE, _timed(space, 1 if begun else _idle(trials, cluster)))
    cpus, most = verdict["cpus"], max((int(cpus) for cpus, _ in cluster.nodes), default=0)
    if cpus > max(1, most):
        log.warning("trials get fewer CPUs than before, so sums round otherwise from=%d", cpus)
    return {"cpus_per_worker": float(max(1, min(cpus, most)))}


def _idle(trials: int, cluster: Cluster) -> int:
    """Give the most CPUs of each trial with which as many run at once as with one."""
    at_once = min(trials, cluster.room(1.0, 0.0))
    most = int(max(cpus for cpus, _ in cluster.nodes)) if at_once else 1
    return max(n for n in range(1, most + 1) if n == 1 or cluster.room(n, 0.0) >= at_once)


def _timed(space: Space, share: int) -> dict[str, Any]:
    if share == 1:
        return {"cpus": 1, "reason": "each CPU has a trial of its own", "milliseconds": {}}
    if "RAY_ADDRESS" in os.environ:
        why = "more were not timed, as the cluster's machines are not the driver's"
        return {"cpus": 1, "reason": why, "milliseconds": {}}
    counts = sorted({1, share, *(2**power for power in range(1, share.bit_length()))})
    recipe = space.job.recipe
    timed = thread_seconds(recipe, recipe_data(space.job).train, counts)
    fastest = min(timed.values())
    best = next(count for count in counts if timed[count] <= fastest * _MARGIN)
    speed = f"{timed[1] / timed[best]:.2f} × the speed of one" if best > 1 else "nothing beat it"
    milliseconds = {str(count): round(seconds * 1000, 2) for count, seconds in timed.items()}
    reason = f"{speed} where {share} for each trial would be idle"
    return {"cpus": best, "reason": reason, "milliseconds": milliseconds}


def _weighed(space: Space) -> dict[str, Any]:
    need = gpu_bytes(space.job.recipe, recipe_data(space.job))
    reason = f"one needs {need / 1024**3:.2f} GiB of a GPU beside its context"
    return {"cpus": 1, "reason": reason, "milliseconds": {}, "gpu_bytes": need}


def _gpus(space: Space, sweep: Sweep, trials: int, cluster: Cluster) -> dict[str, Any]:
    verdict, wanted = sweep.recorded(SHARE), math.ceil(trials / cluster.gpus)
    is_elsewhere = "RAY_ADDRESS" in os.environ or not usable_gpus()
    if (
        space.job.placement.gpus_per_worker is not None
        or is_elsewhere
        or space.varies_steps
        or wanted == 1
    ):
        return {}
    if verdict is None:
        verdict = sweep.record(SHARE, _weighed(space))
    if (need := verdict.get("gpu_bytes")) is None:
        return {}
    # As many as there are CPUs for; a GPU's memory may be another's on another machine.
    wanted = min(wanted, max(1, int(cluster.cpus // cluster.gpus)))
    count = trials_per_gpu(need, gpu_free_bytes(), wanted)
    return {"gpus_per_worker": math.floor(_FINEST / count) / _FINEST}
