"""A connection to a cluster: the one that RAY_ADDRESS names, or a local one of our own."""

import json
import logging
import math
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.core.generated.gcs_pb2 import GcsNodeInfo
from ray.exceptions import AuthenticationError, RpcError
from ray.experimental import internal_kv

from cifar_dist.cluster.door import is_open, refuse_carried_secrets, refuse_open
from cifar_dist.config import Placement
from cifar_dist.errors import ConfigError, DeviceError, RunError
from cifar_dist.hazards import refuse_hazards
from cifar_dist.machine import owned_cpus
from cifar_dist.problems import shown

_LIMITS = "CIFAR_DIST_CLUSTER_LIMITS"
"""Variable that names what an autoscaler may bring: a JSON list of [CPUs, GPUs, machines]."""

_ANSWER_SECONDS = 5.0
_START_SECONDS = 60.0
_MOST_MACHINES = 10_000  # of one group
_ROUNDING = 1e-6  # 0.3 / 0.1 is a little less than 3
_OBJECT_STORE_BYTES = 128 * 1024**2  # images live in the workers, not in Ray's object store

_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}


@dataclass(frozen=True)
class Cluster:
    """What can be used where."""

    nodes: tuple[tuple[float, float], ...]
    """CPUs and GPUs of each machine that is there or that an autoscaler may bring."""
    dashboard: str | None

    @property
    def cpus(self) -> float:
        """CPUs of all machines."""
        return sum(cpus for cpus, _ in self.nodes)

    @property
    def gpus(self) -> float:
        """GPUs of all machines."""
        return sum(gpus for _, gpus in self.nodes)

    def gpus_per_worker(self, placement: Placement) -> float:
        """Give what a placement asks for, or else a whole GPU where there are any."""
        if placement.gpus_per_worker is not None:
            return placement.gpus_per_worker
        return 1.0 if self.gpus >= 1 else 0.0

    def room(self, cpus: float, gpus: float) -> int:
        """Count the processes, none of which can be split over machines, that fit at once."""
        return sum(
            min(
                int(there / needed + _ROUNDING)
                for there, needed in zip(node, (cpus, gpus), strict=True)
                if needed
            )
            for node in self.nodes
        )


@contextmanager
def connected() -> Iterator[Cluster]:
    """Attach to RAY_ADDRESS or start a local Ray, and stop only what was started here.

    Raises RunError if the named cluster does not answer, ConfigError if it cannot be asked and
    RefusedError if it lets anybody in.
    """
    refuse_hazards(of_ray=True)
    named, growing = os.environ.get("RAY_ADDRESS"), limits()
    with _signals_kept():
        context = _attached(named) if named else _started()
    try:
        if named:
            refuse_carried_secrets()
            if not _has_port(named) and is_open(address()):
                refuse_open(address())
        yield Cluster(
            nodes=growing or machines(_START_SECONDS),
            dashboard=f"http://{context.dashboard_url}" if context.dashboard_url else None,
        )
    finally:
        ray.shutdown()


def machines(seconds: float = 1.0) -> tuple[tuple[float, float], ...]:
    """Give the CPUs and GPUs of each machine that is there; none if the head does not say so."""
    client = internal_kv.internal_kv_get_gcs_client()
    try:
        nodes = client.get_all_node_info(timeout=seconds, state_filter=GcsNodeInfo.ALIVE)
    except RpcError:
        return ()
    totals = [node.resources_total for node in nodes.values()]
    return tuple((there.get("CPU", 0.0), there.get("GPU", 0.0)) for there in totals)


def limits() -> tuple[tuple[float, float], ...]:
    """Give the CPUs and GPUs of each machine of a cluster that grows, fully grown; else none.

    Ray itself does not know how far its autoscaler on Kubernetes may go. Raises ConfigError.
    """
    if not (text := os.environ.get(_LIMITS)):
        return ()
    try:
        groups = [_group(*group) for group in json.loads(text)]
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ConfigError(
            f"{_LIMITS}={shown(text)}: must be a JSON list of [CPUs, GPUs, machines], "
            "such as [[8, 1, 4]]; correct it, or unset it where nothing scales"
        ) from error
    return tuple((cpus, gpus) for cpus, gpus, count in groups for _ in range(count))


def _group(cpus: Any, gpus: Any, count: Any) -> tuple[float, float, int]:
    group = float(cpus), float(gpus), int(count)
    if not all(math.isfinite(share) and share >= 0 for share in group[:2]):
        raise ValueError("a machine has a share of nothing")
    if not 1 <= group[2] <= _MOST_MACHINES:
        raise ValueError("no such count of machines")
    return group


def address() -> str:
    """Name the cluster's head, host:port."""
    name: str = ray.get_runtime_context().gcs_address
    return name


def require(cluster: Cluster, workers: int, cpus: float, gpus: float) -> None:
    """Raise DeviceError unless the cluster can ever hold so many processes of this size at once."""
    for name, share, there in (("CPUs", cpus, cluster.cpus), ("GPUs", gpus, cluster.gpus)):
        if share * workers > there:
            remedy = f"lower placement.workers or placement.{name[:3].lower()}s_per_worker"
            if not there:
                remedy = f"add machines, or tell in {_LIMITS} which an autoscaler brings"
            raise DeviceError(
                f"placement needs {share * workers:g} {name} but the cluster has {there:g}; "
                f"{remedy}"
            )
    if (room := cluster.room(cpus, gpus)) < workers:
        raise DeviceError(
            f"placement needs {workers} workers of {cpus:g} CPUs and {gpus:g} GPUs, but the "
            f"cluster's machines have room for {room} of them; lower placement.workers, "
            "placement.cpus_per_worker or placement.gpus_per_worker"
        )


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep a handler of SIGTERM that the caller set: Ray puts its own in its place."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if callable(before) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def _attached(address: str) -> Any:
    if address.startswith("ray://"):
        raise ConfigError(
            f"RAY_ADDRESS={address}: Ray Client cannot train or tune; name the head itself, "
            "host:6379, from inside the cluster"
        )
    try:
        _knock(address)
    except (OSError, OverflowError, ValueError) as error:
        raise RunError(
            f"nobody answers at RAY_ADDRESS={address} ({_line(error)}); correct it, or unset it "
            "to run on this machine"
        ) from error
    if _has_port(address) and is_open(address):
        refuse_open(address)
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))  # it takes any
    try:
        return ray.init(address=address, **_QUIET)
    except (AuthenticationError, OSError, RuntimeError, ValueError) as error:
        raise RunError(
            f"RAY_ADDRESS={address} does not let us in ({_line(error)}); set RAY_AUTH_TOKEN to "
            "the cluster's own"
        ) from error


def _started() -> Any:
    try:
        return ray.init(
            address="local",
            num_cpus=owned_cpus(),
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=True,
            dashboard_host="127.0.0.1",
            **_QUIET,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise RunError(
            f"a local Ray cannot start ({_line(error)}); `train --workers 0` needs none"
        ) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).partition(". ")[0][:300].rstrip(".")


def _knock(address: str) -> None:
    # Ray itself would try for long.
    host, _, port = address.rpartition(":")
    if _has_port(address):
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS).close()


def _has_port(address: str) -> bool:
    """Tell the head's own address from a word such as `auto`, behind which Ray looks for one."""
    return address.rpartition(":")[2].isdigit()
