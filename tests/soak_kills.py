"""Kills at random moments, drawn from a seed: of a task's workers, or of its driver."""

import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tests.soak_processes import WORKER, Task, ended, send, titled, wait_for
from tests.soak_runs import name_in, newest_step

Process = subprocess.Popen[bytes]
Strike = Callable[[Task, Process], Process]
"""Does harm; gives the process that goes on."""


class Moment(NamedTuple):
    """When to strike: so long after a checkpoint of this step, or a later one, is committed."""

    step: int
    seconds: float


class Killed(NamedTuple):
    """What became of a task that was struck."""

    code: int
    strikes: int


def moments(seed: int, count: int, steps: int) -> list[Moment]:
    """Draw moments over the first steps of a run, the earliest perhaps before it begins."""
    draw = random.Random(seed)
    drawn = sorted(draw.randrange(steps) for _ in range(count))
    return [Moment(step, draw.uniform(0.0, 1.0)) for step in drawn]


def killed(
    task: Task,
    when: list[Moment],
    strike: Strike,
    reached: Callable[[str], int] = newest_step,
) -> Killed:
    """Run a task to its end, striking at each moment that comes before it.

    `reached` tells how far a store's task has come.
    """
    process, strikes = task.begin(), 0
    for moment in when:
        if not wait_for(lambda step=moment.step: reached(task.store) >= step, process):  # type: ignore[misc]
            break
        time.sleep(moment.seconds)
        if process.poll() is not None:
            break
        process = strike(task, process)
        strikes += 1
    return Killed(ended(task, process), strikes)


@dataclass
class WorkerStrike:
    """Signals a random one of two workers, as soon as both are there."""

    draw: random.Random
    number: int = signal.SIGKILL

    def __call__(self, task: Task, process: Process) -> Process:
        """Wait for the workers and signal one."""
        struck = False
        while not struck and wait_for(lambda: len(titled(WORKER)) >= 2, process):
            struck = send(self.draw.choice(titled(WORKER)), self.number)
        return process


def driver_strike(task: Task, process: Process) -> Process:
    """Kill the driver and continue what it did."""
    process.kill()
    process.wait()
    kind = "sweeps" if task.arguments[0] == "tune" else "runs"
    return task.resume(name_in(task.store, kind))
