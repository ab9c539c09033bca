"""Whether workers on the cluster compute together what one process computes alone."""

from cifar_dist.doctor.check import Checks, Finding, Setup, failed, ok, skipped
from cifar_dist.errors import RunError

_ASKED = "asked for with --workers N"
_TOLERANCE = 0.01  # of the largest gradient; a wrong average is off by a factor

CHECKS = Checks(RunError)


@CHECKS.add(needs="ray_token", seconds=300)
def workers_place(setup: Setup) -> Finding:
    """Start the workers, which then compute all that the next checks look at."""
    if setup.workers is None:
        return skipped(_ASKED)
    group = setup.group
    nodes = ", ".join(f"{cpus:g} CPUs {gpus:g} GPUs" for cpus, gpus in group.nodes)
    hosts = ", ".join(group.hosts)
    return ok(f"{len(group.hosts)} workers on {hosts}; nodes: {nodes}")


@CHECKS.add(needs="workers_place")
def workers_sum(setup: Setup) -> Finding:
    """Look whether the workers' all-reduce gave the exact sum, and how fast."""
    if setup.workers is None:
        return skipped(_ASKED)
    group = setup.group
    way = f"{group.bytes / 1e6:.1f} MB over {group.backend} on {group.device}"
    if group.sum_is_exact:
        return ok(f"exact, {group.bytes_per_second / 1e6:,.0f} MB/s ({way})")
    return failed(
        f"the all-reduce of {way} gave a wrong sum",
        "look at the network between the nodes and at NCCL_* or GLOO_* variables",
        RunError,
    )


@CHECKS.add(needs="workers_place")
def workers_gradient(setup: Setup) -> Finding:
    """Look how far the workers' common gradient is from one process's."""
    if setup.workers is None:
        return skipped(_ASKED)
    group = setup.group
    found = f"largest difference {group.gradient_difference:.1e} of the largest gradient"
    if group.gradient_difference < _TOLERANCE:
        return ok(found)
    return failed(
        f"{found}: workers do not learn what one process learns",
        "see that all nodes run the same versions of cifar-dist and torch",
        RunError,
    )
