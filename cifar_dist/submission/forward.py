"""A port of a pod or Service brought to this machine's loopback, as long as it is needed."""

import re
import subprocess
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cifar_dist.daemon import begun
from cifar_dist.errors import RunError
from cifar_dist.submission.kubectl import Kubectl
from cifar_dist.submission.observed import line

_OPEN_SECONDS = 20.0
_OPENED = re.compile(r"127\.0\.0\.1:(\d{1,5}) -> ")


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
        said = process.stdout or ()
        try:
            own, last = _local(said)
            if own is None:
                raise RunError(f"port {port} of {target} cannot be forwarded: {line(last)}")
            begun(lambda: deque(said, maxlen=0))  # or it would stop when it is full
            yield Forward(own, process)
        finally:
            process.terminate()


def _local(said: Iterable[str]) -> tuple[int | None, str]:
    try:
        return begun(lambda: _opened(said)).result(_OPEN_SECONDS)
    except TimeoutError:
        return None, f"nothing was said in {_OPEN_SECONDS:g} s"


def _opened(said: Iterable[str]) -> tuple[int | None, str]:
    """Read on until kubectl names the local port; without one, the last that it said."""
    last = "no reason given"
    for each in said:
        last = each if each.strip() else last
        if found := _OPENED.search(each):
            return int(found[1]), last
    return None, last
