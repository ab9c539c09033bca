"""Processes of one node take turns at a piece of work; a killed one gives its turn up by itself."""

import contextlib
import errno
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.1
_REPORT_EVERY_SECONDS = 5.0
# Some network file systems know no locks; turns only save work there, nothing depends on them.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@contextlib.contextmanager
def turn(path: Path) -> Iterator[None]:
    """Wait for, then hold the lock file at `path`, which is gone afterwards. Raises OSError."""
    descriptor = _locked(path)
    try:
        yield
    finally:
        # Removed while still held: who waits for it sees that and opens the next one.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            _wait(descriptor, path)
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _wait(descriptor: int, path: Path) -> None:
    reported = time.monotonic()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() - reported >= _REPORT_EVERY_SECONDS:
                log.info("waiting while another process prepares the images lock=%s", path)
                reported = time.monotonic()
            time.sleep(_PAUSE_SECONDS)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return
        else:
            return


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
