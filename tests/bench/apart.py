"""A reference in a process of its own, which nothing of ours has told how to keep memory."""

import multiprocessing
import weakref
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch

from tests.bench.rounds import Absent


class Apart:
    """Calls what `build(*arguments)` gives in another process, which ends with this object.

    What is passed and given must be picklable. Raises Absent where the other process does.
    """

    def __init__(self, build: Callable[..., Callable[..., Any]], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._mine, theirs = context.Pipe()
        threads = torch.get_num_threads()
        # No daemon: those may not have children, and the reference has its loading workers.
        process = context.Process(target=_serve, args=(theirs, threads, build, arguments))
        process.start()
        theirs.close()
        self._end = weakref.finalize(self, _end, self._mine, process)

    def __call__(self, *arguments: object) -> Any:
        """Call it there and wait."""
        self._mine.send(arguments)
        found = self._mine.recv()
        if isinstance(found, Absent):
            raise found
        return found


def _serve(
    asked: Connection,
    threads: int,
    build: Callable[..., Callable[..., Any]],
    arguments: tuple[object, ...],
) -> None:
    torch.set_num_threads(threads)
    call: Callable[..., Any] | None = None
    while True:
        try:
            given = asked.recv()
        except EOFError:
            return
        try:
            call = call or build(*arguments)
            asked.send(call(*given))
        except Absent as reason:
            asked.send(reason)


def _end(mine: Connection, process: multiprocessing.context.SpawnProcess) -> None:
    mine.close()
    process.join()
