"""Commits checkpoints in the background, so that training does not wait for storage."""

import logging
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from cifar_dist.errors import StoreError
from cifar_dist.runs.attempts import Attempt
from cifar_dist.runs.manifest import Manifest
from cifar_dist.runs.run import BEST, Run
from cifar_dist.store.disk import reported

log = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    folder: Path
    step: int
    epoch: int
    metrics: dict[str, float]
    best: bool


class BackgroundCommitter:
    """One upload at a time; of those that wait, only the newest and the newest best are kept.

    An upload's error is raised by the next call. A folder given to it belongs to it: it is removed
    once committed or superseded, and left where it is if the commit fails.
    """

    def __init__(self, run: Run, attempt: Attempt, keep: int = 3) -> None:
        self._run = run
        self._attempt = attempt
        self._keep = keep
        self._lock = Lock()
        self._waiting: list[_Waiting] = []
        self._notes: list[tuple[str, Callable[[], bytes]]] = []
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit")
        self._work: Future[None] | None = None
        self._busy = False
        self.last: Manifest | None = None

    def note(self, name: str, content: Callable[[], bytes]) -> None:
        """Let the thread make and store a small object before the next checkpoint handed over.

        No note is superseded, and one that cannot be stored is left out with a warning.
        """
        with self._lock:
            self._notes.append((self._run.key(name), content))

    def submit(
        self,
        folder: Path,
        *,
        step: int,
        epoch: int,
        metrics: dict[str, float],
        best: bool = False,
    ) -> None:
        """Hand over a folder of files; `best` also pins it as the best so far."""
        if self._work is not None and self._work.done():
            self._work.result()
        new = _Waiting(folder, step, epoch, metrics, best)
        with self._lock:
            # A newer best makes any older one pointless; any newer one makes an ordinary one so.
            superseded = [old for old in self._waiting if best or not old.best]
            self._waiting = [old for old in self._waiting if old not in superseded] + [new]
            if not self._busy:
                self._busy = True
                self._work = self._thread.submit(self._commit_all)
        for old in superseded:
            shutil.rmtree(old.folder)

    def wait(self) -> Manifest | None:
        """Wait until all is committed; gives the newest checkpoint committed here."""
        if self._work is not None:
            self._work.result()
        return self.last

    def _commit_all(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._busy = False
                    return
                item = self._waiting.pop(0)
                notes, self._notes = self._notes, []
            for key, content in notes:
                self._store_note(key, content)
            self.last = self._attempt.commit(
                item.folder, step=item.step, epoch=item.epoch, metrics=item.metrics
            )
            if item.best:
                self._run.pin(BEST, self.last)
            shutil.rmtree(item.folder)
            self._prune()

    def _store_note(self, key: str, content: Callable[[], bytes]) -> None:
        try:
            with reported(key):
                self._run.store.write(key, content())
        except StoreError as error:
            log.warning("a note was left out key=%s reason=%s", key, error)

    def _prune(self) -> None:
        try:
            self._run.prune(self._keep)
        except StoreError as error:
            # The right to write does not imply the right to delete.
            log.warning("old checkpoints stay run=%s reason=%s", self._run.prefix, error)
