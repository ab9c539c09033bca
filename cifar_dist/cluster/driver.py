"""The driver's side of any work that Ray does: done in a thread, followed in this one."""

from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread
from typing import TypeVar

from cifar_dist.cluster.failures import explained

_POLL_SECONDS = 0.2

T = TypeVar("T")


def followed(work: Callable[[], T], poll: Callable[[], None]) -> T:
    """Give what `work` returns, polling meanwhile and once after; what it raises is explained.

    Off the main thread Ray leaves the interrupt signal to us.
    """
    future = begun(work)
    try:
        while not future.done():
            poll()
            wait([future], timeout=_POLL_SECONDS)
        poll()
        return future.result()
    except Exception as error:
        raise explained(error) from error


def begun(work: Callable[[], T]) -> Future[T]:
    """Begin work in a thread that nobody has to wait for."""
    future: Future[T] = Future()

    def fulfil() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised by whoever asks for the result
            future.set_exception(error)

    # A daemon: after a second Ctrl-C nobody waits for it.
    Thread(target=fulfil, daemon=True).start()
    return future
