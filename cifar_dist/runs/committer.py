"""Commits checkpoints in the background, so that training does not wait for storage."""

import logging
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Lock
from typing import NamedTuple, Protocol

from cifar_dist.counts import COUNTS
from cifar_dist.daemon import begun
from cifar_dist.documents import StorageCost
from cifar_dist.errors import DamagedError, RefusedError, StoreError
from cifar_dist.runs.attempts import Attempt
from cifar_dist.runs.manifest import Manifest
from cifar_dist.runs.retention import KEEP
from cifar_dist.runs.run import BEST, Run
from cifar_dist.store.disk import TEMPORARY, reported

log = logging.getLogger(__name__)

Note = tuple[str, Callable[[], bytes]]
"""A small object's name below its run, and its bytes as another thread's work."""


class Snapshot(Protocol):
    """What is to be kept, in memory that nobody else writes to."""

    def write(self, folder: Path) -> None:
        """Write its files into an existing folder; raises StoreError."""


class _Waiting(NamedTuple):
    snapshot: Snapshot
    step: int
    epoch: int
    metrics: dict[str, float]
    best: bool
    handed: float
    """When, by the monotonic clock."""


class BackgroundCommitter:
    """One upload at a time; of those that wait, only the newest and the newest best are kept.

    So at most four snapshots are in memory and one on the disk, however slow the storage is.
    An upload's error is raised by the next call. A process that ends does not wait for uploads.
    """

    def __init__(self, run: Run, attempt: Attempt, keep: int = KEEP) -> None:
        self._run = run
        self._attempt = attempt
        self._keep = keep
        self._lock = Lock()
        self._waiting: list[_Waiting] = []
        self._notes: list[tuple[str, Callable[[], bytes]]] = []
        self._work: Future[None] | None = None
        self._busy = False
        self._sending: _Waiting | None = None
        self.last: Manifest | None = None
        self.restored: Manifest | None = None
        """What training goes on from, which stays until there are enough of our own."""
        self.committed = self.superseded = self.sent_bytes = 0

    def note(self, name: str, content: Callable[[], bytes]) -> None:
        """Let the thread make and store a small object before the next checkpoint handed over.

        No note is superseded, and one that cannot be stored is left out with a warning.
        """
        with self._lock:
            self._notes.append((self._run.key(name), content))

    def submit(
        self,
        snapshot: Snapshot,
        *,
        step: int,
        epoch: int,
        metrics: dict[str, float],
        best: bool = False,
    ) -> None:
        """Hand over a snapshot; `best` also pins it as the best so far."""
        if self._work is not None and self._work.done():
            self._work.result()
        new = _Waiting(snapshot, step, epoch, metrics, best, time.monotonic())
        with self._lock:
            # A newer best makes any older one pointless; any newer one makes an ordinary one so.
            kept = [old for old in self._waiting if old.best and not best]
            self.superseded += len(self._waiting) - len(kept)
            self._waiting = [*kept, new]
            self._tell_uploads()
            if not self._busy:
                self._busy = True
                self._work = begun(self._commit_all)

    def wait(self) -> Manifest | None:
        """Wait until all is committed; gives the newest checkpoint committed here."""
        if self._work is not None:
            self._work.result()
        return self.last

    def cost(self, waited_seconds: float) -> StorageCost:
        """Give what storage took so far, together with how long training waited for it."""
        return StorageCost(
            committed=self.committed,
            superseded=self.superseded,
            sent_bytes=self.sent_bytes,
            waited_seconds=waited_seconds,
        )

    def _commit_all(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._busy = False
                    return
                item = self._sending = self._waiting.pop(0)
                notes, self._notes = self._notes, []
            for key, content in notes:
                self._store_note(key, content)
            self.last = self._counted(item)
            self.committed += 1
            if item.best:
                self._attempt.check_fence()  # a newer attempt may know another best
                self._run.pin(BEST, self.last)
            self._prune()

    def _counted(self, item: _Waiting) -> Manifest:
        started = time.monotonic()
        try:
            manifest = self._sent(item)
        except StoreError:
            COUNTS.add("commit_failures")
            raise
        finally:
            with self._lock:
                self._sending = None
                self._tell_uploads()
        size_bytes = sum(content.bytes for content in manifest.files.values())
        self.sent_bytes += size_bytes
        COUNTS.commit(time.monotonic() - started, size_bytes)
        return manifest

    def _tell_uploads(self) -> None:
        pending = [*self._waiting, *([self._sending] if self._sending else ())]
        COUNTS.upload(self, [item.handed for item in pending])

    def _sent(self, item: _Waiting) -> Manifest:
        with reported(TEMPORARY):
            folder = Path(tempfile.mkdtemp(prefix="cifar-dist-"))
        try:
            item.snapshot.write(folder)
        except StoreError:
            shutil.rmtree(folder)
            raise
        try:
            manifest = self._attempt.commit(
                folder, step=item.step, epoch=item.epoch, metrics=item.metrics
            )
        except StoreError as error:
            raise StoreError(
                f"{error}; step {item.step} could not be sent and is kept in {folder} on "
                f"{platform.node()}; when the storage is back, `cifar-dist resume "
                f"{self._run.prefix.split('/')[1]}` goes on from the last checkpoint that was sent"
            ) from error
        except RefusedError:  # another process goes on with this run
            shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)
        return manifest

    def _store_note(self, key: str, content: Callable[[], bytes]) -> None:
        try:
            with reported(key):
                self._run.store.write(key, content())
        except StoreError as error:
            log.warning("a note was left out key=%s reason=%s", key, error)

    def _prune(self) -> None:
        try:
            self._run.prune(self._keep, self.restored if self.committed < self._keep else None)
        except (StoreError, DamagedError) as error:
            # The right to write does not imply the right to delete.
            log.warning("old checkpoints stay run=%s reason=%s", self._run.prefix, error)
