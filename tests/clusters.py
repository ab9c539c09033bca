"""One Ray for the cluster tests of a session, and ways to see what a command leaves behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

_HOLDER = """
import sys
from cifar_dist.cluster import connection
import ray
from ray._private.parameter import RayParams
made = RayParams.__init__
# Beside another Ray of this machine its agent, which submits jobs, needs a port of its own.
RayParams.__init__ = lambda self, **given: made(self, **{"dashboard_agent_listen_port": 0, **given})
connection.owned_cpus = lambda: 2
with connection.connected() as cluster:
    print(ray.get_runtime_context().gcs_address, cluster.dashboard, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="session")
def ray_address(dataset_cache: Path) -> Iterator[str]:
    """Hold a local Ray of two CPUs in a process of its own, and name it in the environment."""
    import cifar_dist.cluster  # noqa: F401 - settles the token that both sides need

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOMP_SPINCOUNT", "10000")
        patch.setenv("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")  # a process less in every run
        patch.setenv("RAY_TRAIN_METRICS_ENABLED", "0")
        with local_ray() as ray:
            patch.setenv("RAY_ADDRESS", ray.address)
            yield ray.address


class LocalRay(NamedTuple):
    """A Ray of this machine."""

    address: str
    dashboard: str
    pid: int
    """Its holder, below which all of its processes are."""


@contextmanager
def local_ray(**environment: str) -> Iterator[LocalRay]:
    """Hold a local Ray of two CPUs in a process of its own; an empty value unsets a variable."""
    changed = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **environment}
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={name: value for name, value in changed.items() if value},
    ) as holder:
        assert holder.stdin
        assert holder.stdout
        address, dashboard = holder.stdout.readline().split()
        yield LocalRay(address, dashboard, holder.pid)
        holder.stdin.close()


def held() -> list[str]:
    """Name what is in use on the session's Ray: CPUs, placement groups and living actors."""
    from cifar_dist.cluster.connection import connected  # before Ray, which it prepares

    import ray  # isort: skip
    from ray.util import placement_group_table
    from ray.util.state import list_actors

    with connected():
        free, total = ray.available_resources(), ray.cluster_resources()
        groups = placement_group_table().values()
        found = [f"{total['CPU'] - free.get('CPU', 0.0):g} CPUs"]
        found += [group["state"] for group in groups if group["state"] != "REMOVED"]
        actors = list_actors(os.environ["RAY_ADDRESS"], filters=[("state", "=", "ALIVE")])
        # One of Ray's own stays for the next run.
        return found + [
            a.class_name for a in actors if "AutoscalingCoordinator" not in a.class_name
        ]


def eventually(idle: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Wait for something that Ray does in the background."""
    deadline = time.monotonic() + seconds
    while not idle() and time.monotonic() < deadline:
        time.sleep(0.3)
    return idle()


def interrupted(
    arguments: list[str],
    ready: Callable[[], bool],
    number: int = signal.SIGINT,
    **environment: str,
) -> tuple[int, str]:
    """Run a command, press Ctrl-C or signal it once `ready`; gives its code and stderr."""
    with subprocess.Popen(
        [sys.executable, "-m", "cifar_dist", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={k: v for k, v in {**os.environ, **environment}.items() if v},
        start_new_session=True,
    ) as process:
        eventually(lambda: ready() or process.poll() is not None, 300.0)
        if number == signal.SIGINT:
            # As a terminal does: to the command and to all that it started.
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        _, shown = process.communicate()
        return process.returncode, shown


def marked(mark: str) -> list[str]:
    """Find the processes that inherited an environment with this text in it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if mark.encode() in environment:
            found.append(command.decode(errors="replace"))
    return found
