"""A side of a comparison as a program of its own, with a Ray, folders and ports of its own."""

import importlib.util
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from tests.bench import load
from tests.bench.ray_tree import Tree
from tests.bench.rounds import Absent

Told = dict[str, Any]
"""One line of a child's."""

_ROOT = Path(__file__).parents[2]
_END_SECONDS = 60.0  # for a driver's farewell to its Ray
_SHOWN = 1_500  # characters of a failed child's last words
_FRESH = {
    "RAY_ADDRESS": None,
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "GOMP_SPINCOUNT": "10000",  # both sides: a barrier that spins loses most on a shared core
    "PYTHONPATH": str(_ROOT),
    "NO_ALBUMENTATIONS_UPDATE": "1",
}


class Child:
    """Calls `module:function` with plain data, in a process whose tree's CPU seconds are counted.

    What it tells comes as lines of JSON; `launcher` are a program and its arguments that start the
    rest, such as torchrun's. `environment` is added to this process's own.
    """

    def __init__(
        self, entry: str, given: Told, launcher: Sequence[str] = (), **environment: str
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        told = {"folder": self._folder.name, **given}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *launcher, "-m", "tests.bench.ray_child", entry, json.dumps(told)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self.folder,
                env=self._environment(environment),
            )
        self.tree = Tree(self._process.pid)
        self.is_ended, self._known_seconds = False, 0.0

    @property
    def is_alive(self) -> bool:
        """Whether its first process still runs."""
        return self._reaped(0.0) is None

    def lines(self) -> Iterator[Told]:
        """Give what it tells, as it tells it, until it ends."""
        for line in self._out:
            if line.startswith("{"):
                yield json.loads(line)

    def check(self) -> None:
        """Wait for its end. Raises RuntimeError with its last words if it failed."""
        if self._reaped(_END_SECONDS):
            shown = self._log.read_text("utf-8", "replace")[-_SHOWN:]
            raise RuntimeError(f"a side of the comparison failed:\n{shown}")

    def end(self) -> float:
        """End all of its processes; gives the CPU seconds that they took."""
        if not self.is_ended:
            self.is_ended = True
            self.tree.end()
            self._reaped(_END_SECONDS)
            self._out.close()
            self._folder.cleanup()
            load.credit(max(0.0, self.tree.seconds() - self._known_seconds))
        return self.tree.seconds()

    def _reaped(self, seconds: float) -> int | None:
        """Wait a while for the first process; gives its code, None while it runs."""
        before = os.times()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        after = os.times()
        # What it had waited for itself the system counts from now on as ours.
        self._known_seconds += after.children_user - before.children_user
        self._known_seconds += after.children_system - before.children_system
        return self._process.returncode

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    @property
    def _out(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _environment(self, added: dict[str, str]) -> dict[str, str]:
        own = {"RAY_TMPDIR": self._folder.name, "RAY_AUTH_TOKEN": secrets.token_hex(16)}
        changed = {**os.environ, **_FRESH, **own, **added}
        return {name: value for name, value in changed.items() if value is not None}


def require(*packages: str) -> None:
    """Raise Absent unless these packages are installed."""
    if absent := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise Absent(f"{' and '.join(absent)} is not installed.")


def tell(**told: Any) -> None:
    """Tell one thing to whoever started this child."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def beside_others() -> None:
    """Let a Ray that this process starts live beside others of this machine, as those of tests."""
    from ray._private.parameter import RayParams

    made = RayParams.__init__

    def with_a_port_of_its_own(self: RayParams, *given: Any, **named: Any) -> None:
        made(self, *given, **{"dashboard_agent_listen_port": 0, **named})

    RayParams.__init__ = with_a_port_of_its_own


def main(entry: str, given: str) -> None:
    """Call what `module:function` names with data that is written as JSON."""
    module, _, function = entry.partition(":")
    getattr(importlib.import_module(module), function)(json.loads(given))


if __name__ == "__main__":
    main(*sys.argv[1:])
