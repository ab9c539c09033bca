"""A Ray cluster of several nodes on this machine, shut off from all others by namespaces."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.soak_processes import WORKER, descendants, given, send, titled, wait_for

_RAY = Path(sys.executable).with_name("ray")
_STARTED = "Ray runtime started."
_ADDRESS = "127.0.0.1:6379"
_UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--net", "--kill-child")
# The first process of a namespace must take leave of orphans, or they stay as zombies.
_INIT = """
import signal, subprocess, sys
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["mount", "--bind", sys.argv[1], "/tmp/ray"], check=True)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
while True:
    signal.pause()
"""


def permitted() -> bool:
    """Tell whether this process may make namespaces."""
    try:
        tried = subprocess.run([*_UNSHARE, "ip", "link", "set", "lo", "up"], capture_output=True)
    except OSError:
        return False
    return tried.returncode == 0


class Cluster:
    """A head without CPUs and nodes of one CPU each, as processes below this one."""

    def __init__(self, folder: Path, nodes: int = 3, **environment: str) -> None:
        self._folder, self._count = folder, nodes
        self.environment = {
            "RAY_ADDRESS": _ADDRESS,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": "5" * 64,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_raylet_start_wait_time_s": "120",  # on a busy machine
            "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "",  # other tests do without it
            **environment,
        }
        """What a command on this cluster needs."""
        self.nodes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        logs = self._folder / "ray"
        logs.mkdir(parents=True)
        Path("/tmp/ray").mkdir(exist_ok=True)
        with ExitStack() as failed:
            self._space = subprocess.Popen(
                [*_UNSHARE, sys.executable, "-c", _INIT, str(logs)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            failed.callback(self._end)
            assert self._space.stdout is not None
            assert self._space.stdout.readline() == b"ready\n"
            (init,) = descendants(self._space.pid)
            self.enter = ("nsenter", "--target", str(init), "--pid", "--mount", "--net")
            # Not with --block, which ends the whole head once one of its processes is killed.
            self._start("--head", "--port=6379", "--num-cpus=0", "--dashboard-port=8265").wait()
            for _ in range(self._count):
                self.nodes.append(self._start("--address", _ADDRESS, "--num-cpus=1", "--block"))
            failed.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        # With the first process of the namespace all others end.
        for pid in descendants(self._space.pid)[:1]:
            send(pid)
        self._space.communicate()
        for process in self.nodes:
            process.kill()
            process.wait()

    def ray(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Call Ray's own program inside."""
        return subprocess.run(
            [*self.enter, str(_RAY), *arguments],
            env=given(self.environment),
            capture_output=True,
            text=True,
            timeout=120,
        )

    def hosts(self) -> list[subprocess.Popen[bytes]]:
        """Give the nodes on which a training process runs."""
        return [node for node in self.nodes if titled(WORKER, node.pid)]

    def lose(self, node: subprocess.Popen[bytes]) -> None:
        """Kill a whole node at once, its raylet first."""
        for pid in [*self.raylets(node), *descendants(node.pid)]:
            send(pid)

    def ask_to_end(self, node: subprocess.Popen[bytes]) -> None:
        """Send what a machine that is taken away sends to the program that holds its node."""
        send(descendants(node.pid)[0], signal.SIGTERM)

    def drain(self, node: subprocess.Popen[bytes], seconds: int) -> None:
        """Tell Ray that a node goes away."""
        (raylet,) = self.raylets(node)
        words = Path(f"/proc/{raylet}/cmdline").read_text().split("\0")
        (number,) = [word.partition("=")[2] for word in words if word.startswith("--node_id=")]
        told = self.ray(
            "drain-node",
            f"--address={_ADDRESS}",
            f"--node-id={number}",
            "--reason=DRAIN_NODE_REASON_PREEMPTION",
            "--reason-message=the machine is taken back",
            f"--deadline-remaining-seconds={seconds}",
        )
        assert told.returncode == 0, told.stderr

    def raylets(self, node: subprocess.Popen[bytes]) -> list[int]:
        """Find a node's raylet."""
        return [pid for pid in descendants(node.pid) if _program(pid) == "raylet"]

    def kill_control(self, back_after: float | None) -> None:
        """Kill the head's control process and, if asked, start it again as it was."""
        (pid,) = [pid for pid in descendants(self._space.pid) if _program(pid) == "gcs_server"]
        process = Path(f"/proc/{pid}")
        words = process.joinpath("cmdline").read_text().split("\0")[:-1]
        pairs = process.joinpath("environ").read_text().split("\0")[:-1]
        os.kill(pid, signal.SIGKILL)
        if back_after is None:
            return
        time.sleep(back_after)
        environment = dict(pair.split("=", 1) for pair in pairs)
        self.nodes.append(subprocess.Popen([*self.enter, *words], env=environment, cwd="/"))

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        log = self._folder / "nodes.log"
        log.touch()
        known = log.read_text().count(_STARTED)
        with log.open("ab") as shown:
            process = subprocess.Popen(
                [*self.enter, str(_RAY), "start", *arguments, "--disable-usage-stats"],
                env=given({**self.environment, "OMP_NUM_THREADS": "1"}),
                stdout=shown,
                stderr=shown,
            )
        assert wait_for(lambda: log.read_text().count(_STARTED) > known, process), log.read_text()
        return process


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
