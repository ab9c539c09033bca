"""A port of a pod or Service brought to this machine's loopback, as long as it is needed."""

import subprocess
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cifar_dist.daemon import begun
from cifar_dist.errors import RunError
from cifar_dist.submission.kubectl import Kubectl
from cifar_dist.submission.observed import line


@dataclass(frozen=True)
class Forward:
    """A port that leads somewhere as long as kubectl runs."""

    port: int
    process: "subprocess.Popen[str]"

    def wait(self) -> None:
        """Wait until it breaks. Raises RunError then."""
        self.process.wait()
        raise RunError("the connection ended, as its pod has; open it again for the next one")


@contextmanager
def forwarded(door: Kubectl, target: str, port: int, local: int | None = None) -> Iterator[Forward]:
    """Open a local port that leads to one of `pod/NAME` or `svc/NAME`; any free one if None.

    Raises RunError if it cannot be opened.
    """
    ports = f"{'' if local is None else local}:{port}"
    with door.started("port-forward", "--address=127.0.0.1", target, ports) as process:
        try:
            first = process.stdout.readline() if process.stdout else ""
            found = first.partition("127.0.0.1:")[2].split()
            if not found or not found[0].isdecimal():
                said = process.stderr.read() if process.stderr else ""
                lines = [each for each in said.splitlines() if each.strip()] or ["no reason given"]
                raise RunError(f"port {port} of {target} cannot be forwarded: {line(lines[-1])}")
            begun(lambda: deque(process.stdout or (), maxlen=0))  # or it would stop when it is full
            yield Forward(int(found[0]), process)
        finally:
            process.terminate()
