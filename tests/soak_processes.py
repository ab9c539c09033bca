"""Commands as a user starts them, and the processes below them, found to be killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORKER = "ray::RayTrainWorker"
_POLL_SECONDS = 0.05
_PATIENCE_SECONDS = 600.0


@dataclass(frozen=True)
class Task:
    """A command line that ends in a finished run or sweep, and the folder that it works in."""

    arguments: tuple[str, ...]
    store: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    """Beside this process's own; an empty value takes a variable away."""
    before: tuple[str, ...] = ()
    """What enters another place first, such as a cluster's namespace."""
    module: str = "cifar_dist"

    def begin(self) -> subprocess.Popen[bytes]:
        """Start it for the first time."""
        return self.call(*self.arguments, "--store", self.store)

    def resume(self, name: str | None) -> subprocess.Popen[bytes]:
        """Continue the run or sweep of this name as a user would; without one start it again."""
        return self.call("resume", name, "--store", self.store) if name else self.begin()

    def call(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the program; all that it shows is appended to a file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        quiet = {"OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "10000"}
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*self.before, sys.executable, "-m", self.module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self.folder,
                env=given(quiet | self.environment),
            )

    @property
    def shown(self) -> str:
        """What all calls showed on stderr."""
        return self._log.read_text("utf-8", "replace")

    @property
    def _log(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.log")


def given(changes: dict[str, str]) -> dict[str, str]:
    """Give this process's environment, changed; an empty value takes a variable away."""
    changed = {**os.environ, "PYTHONPATH": str(ROOT), **changes}
    return {name: value for name, value in changed.items() if value}


def ended(task: Task, process: subprocess.Popen[bytes]) -> int:
    """Wait for a command; gives its exit code. One that hangs is killed."""
    try:
        return process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"it hangs:\n{task.shown[-3000:]}") from None
    finally:
        process.kill()
        process.wait()


def descendants(pid: int) -> list[int]:
    """List the living processes below one, children first."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text("latin-1").rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            children.setdefault(int(parent), []).append(int(path.parent.name))
    found, level = [], [pid]
    while level:
        level = [child for parent in level for child in sorted(children.get(parent, []))]
        found += level
    return found


def titled(title: str, below: int | None = None) -> list[int]:
    """Find the processes below this one, or another, whose command line begins so."""
    return [pid for pid in descendants(below or os.getpid()) if _command(pid).startswith(title)]


def wait_for(ready: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> bool:
    """Wait until something holds; False if the process ended before."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        asked = time.monotonic()
        if ready():
            return True
        if process is not None and process.poll() is not None:
            return False
        assert time.monotonic() < deadline, "what was waited for never came"
        # Asking must not take a CPU from what is waited for.
        time.sleep(max(_POLL_SECONDS, 4 * (time.monotonic() - asked)))


def send(pid: int, number: int = signal.SIGKILL) -> bool:
    """Signal one process; False if it is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (OSError, UnicodeDecodeError):
        return ""
