"""Ctrl-C and SIGTERM: once asks for a committed end, twice ends at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

from cifar_dist.cli.output import say
from cifar_dist.errors import CifarDistError, InterruptedRunError, PreemptedError

_terminated = Event()


@contextmanager
def stop_on_interrupt() -> Iterator[Event]:
    """Give an event that the first SIGINT or SIGTERM sets; the second interrupts."""
    stop = Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        if number == signal.SIGTERM:
            _terminated.set()
        say("stopping: committing what there is; press Ctrl-C again to end at once")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code(error: CifarDistError) -> int:
    """Give an error's code; a run that SIGTERM interrupted was preempted, not given up."""
    if isinstance(error, InterruptedRunError) and _terminated.is_set():
        return PreemptedError.exit_code
    return error.exit_code
