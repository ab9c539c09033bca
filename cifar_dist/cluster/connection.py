"""A connection to a cluster: the one that RAY_ADDRESS names, or a local one of our own."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import AuthenticationError

from cifar_dist.errors import ConfigError, DeviceError, RunError
from cifar_dist.machine import owned_cpus

_ANSWER_SECONDS = 5.0
_OBJECT_STORE_BYTES = 128 * 1024**2  # images live in the workers, not in Ray's object store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cluster:
    """What can be used where."""

    cpus: float
    gpus: float
    dashboard: str | None
    is_ours: bool


@contextmanager
def connected() -> Iterator[Cluster]:
    """Attach to RAY_ADDRESS or start a local Ray, and stop only what was started here.

    Raises RunError if the named cluster does not answer, ConfigError if it cannot be asked.
    """
    address = os.environ.get("RAY_ADDRESS")
    where = f"RAY_ADDRESS={address}" if address else "a local Ray"
    try:
        if address:
            _knock(address)
        context = ray.init(**(_attached(address) if address else _local()))
    except AuthenticationError as error:
        raise RunError(
            f"{where} refuses the token of this environment; set RAY_AUTH_TOKEN to the cluster's "
            "own, or RAY_AUTH_MODE=disabled if it has none"
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        first = str(error).partition("\n")[0].rstrip(".")
        remedy = (
            "check the address, or unset RAY_ADDRESS to run on this machine"
            if address
            else "`train --workers 0` needs none"
        )
        raise RunError(f"{where} cannot be used ({first}); {remedy}") from error
    try:
        total = ray.cluster_resources()
        yield Cluster(
            cpus=total.get("CPU", 0.0),
            gpus=total.get("GPU", 0.0),
            dashboard=f"http://{context.dashboard_url}" if context.dashboard_url else None,
            is_ours=not address,
        )
    finally:
        ray.shutdown()


def require(cluster: Cluster, cpus: float, gpus: float) -> None:
    """Raise DeviceError unless the cluster can ever hold this much at once."""
    for name, needed, there in (("CPUs", cpus, cluster.cpus), ("GPUs", gpus, cluster.gpus)):
        if needed > there:
            raise DeviceError(
                f"placement needs {needed:g} {name} but the cluster has {there:g}; "
                f"lower placement.workers or placement.{name[:3].lower()}s_per_worker"
            )


def _knock(address: str) -> None:
    """Raise OSError at once where nobody listens; Ray itself would try for long."""
    if address.startswith("ray://"):
        raise ConfigError(
            f"RAY_ADDRESS={address}: Ray Client cannot train or tune; name the head itself, "
            "host:6379, from inside the cluster"
        )
    host, _, port = address.rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS).close()


def _attached(address: str) -> dict[str, Any]:
    return {"address": address, **_quiet()}


def _local() -> dict[str, Any]:
    return {
        "address": "local",
        "num_cpus": owned_cpus(),
        "object_store_memory": _OBJECT_STORE_BYTES,
        "include_dashboard": True,
        "dashboard_host": "127.0.0.1",
        **_quiet(),
    }


def _quiet() -> dict[str, Any]:
    return {"log_to_driver": False, "logging_level": logging.ERROR}
