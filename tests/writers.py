"""Checkpoints of known bytes, and writers of them in processes that may be killed."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import pytest

from cifar_dist.runs import Attempt, Manifest, Run
from cifar_dist.store import open_store
from tests.dying_store import Death, count_requests

_SMALL_UNITS = 100
_LARGE_UNITS = (1 << 18) + 30  # of 32 bytes: more than one request takes, so two parts


def content(step: int) -> dict[str, bytes]:
    """Give the three files of a checkpoint; every step has other bytes, the even ones have more."""
    unit = hashlib.sha256(str(step).encode()).digest()
    state = unit * (_LARGE_UNITS if step % 2 == 0 else _SMALL_UNITS)
    return {"averaged.pt": unit * 9, "history.json": b"[]", "state.pt": state}


def save(folder: Path, step: int) -> Path:
    """Write the checkpoint of a step into a new folder."""
    folder.mkdir(parents=True)
    for name, data in content(step).items():
        (folder / name).write_bytes(data)
    return folder


def commit(attempt: Attempt, scratch: Path, step: int) -> Manifest:
    """Commit the checkpoint of a step from a folder below `scratch`."""
    folder = save(scratch / f"{attempt.number}-{step}", step)
    return attempt.commit(folder, step=step, epoch=step, metrics={})


def is_exact(folder: Path, step: int) -> bool:
    """Tell whether a folder holds the checkpoint of a step, bit for bit, and nothing else."""
    return {path.name: path.read_bytes() for path in folder.iterdir()} == content(step)


class Order(NamedTuple):
    """What a writer is to do: continue a store's run by these steps."""

    uri: str
    run: str
    scratch: str
    steps: list[int]
    death: tuple[int, Any] = (0, "before")
    """The request at which it ends, of its claim or a commit; before or after it takes effect."""

    @property
    def notes(self) -> Path:
        """Where it notes each step as soon as its commit returned."""
        return Path(self.scratch) / "notes"

    def acknowledged(self) -> list[int]:
        """Give the steps whose commits returned."""
        whole = self.notes.read_text().split("\n")[:-1] if self.notes.exists() else []
        return [int(line) for line in whole]


class Writers:
    """Starts one writer after another, in milliseconds: they are forked from a process in wait."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.writers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def start(self, order: Order) -> int:
        """Let a writer work in this environment; gives its process, valid until `ended`."""
        return self._ask([order._asdict(), dict(os.environ)])

    def ended(self) -> int:
        """Wait for the end of the one that works; gives its exit code."""
        return self._ask("wait")

    def _ask(self, what: object) -> int:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@pytest.fixture(scope="session")
def writers() -> Iterator[Writers]:
    """Give the one process that all writers are forked from."""
    with Writers() as writers:
        yield writers


def _obey(order: Order) -> None:
    count_requests(Death(*order.death))
    with order.notes.open("a", buffering=1) as notes:
        attempt = Run(open_store(order.uri), order.run).claim_attempt()
        for step in order.steps:
            commit(attempt, Path(order.scratch), step)
            notes.write(f"{step}\n")


def _serve() -> None:
    for line in sys.stdin:
        order, environment = json.loads(line)
        if pid := os.fork():
            _say(pid)
            sys.stdin.readline()  # until then a process that ended keeps its number
            _say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        else:
            os.environ.update(environment)
            _obey(Order(**order))
            os._exit(0)


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _serve()
