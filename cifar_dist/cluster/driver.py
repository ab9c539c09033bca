"""The driver's side of any work that Ray does: done in a thread, followed in this one."""

import tempfile
from collections.abc import Callable
from concurrent.futures import wait
from typing import TypeVar

from cifar_dist.cluster.failures import deliberate, explained
from cifar_dist.cluster.watch import Watch
from cifar_dist.daemon import begun

_POLL_SECONDS = 0.2

T = TypeVar("T")


def ray_folder() -> "tempfile.TemporaryDirectory[str]":
    """Give a new empty folder for Ray, which may still write there when it is removed."""
    return tempfile.TemporaryDirectory(prefix="cifar-dist-ray-", ignore_cleanup_errors=True)


def followed(work: Callable[[], T], poll: Callable[[], None], watch: Watch | None = None) -> T:
    """Give what `work` returns, polling meanwhile and once after; what it raises is explained.

    Raises PreemptedError if the cluster's head is lost. Off the main thread Ray leaves the
    interrupt signal to us.
    """
    future = begun(work)
    try:
        while not future.done():
            poll()
            if watch is not None:
                watch.look()
            wait([future], timeout=_POLL_SECONDS)
        poll()
        return future.result()
    except Exception as error:
        if watch is not None and watch.is_head_away and deliberate(error) is None:
            raise watch.head_lost() from error
        raise explained(error) from error
    finally:
        if watch is not None:
            watch.end()
