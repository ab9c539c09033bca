"""A run in a store: its checkpoints, the newest intact one, pins and retention."""

import logging
import re
import shutil
from itertools import islice
from pathlib import Path

from cifar_dist.documents import AttemptRecord
from cifar_dist.errors import DamagedError, RefusedError
from cifar_dist.runs.attempts import existing, history, survey
from cifar_dist.runs.dossier import Dossier
from cifar_dist.runs.manifest import NAME, Manifest, read_manifest
from cifar_dist.runs.seal import sealed
from cifar_dist.store import MissingError

log = logging.getLogger(__name__)
BEST = "best"
_LISTINGS = 6  # five more than one: a reader is overtaken by retention now and then, not always
_STEP = re.compile(r"/attempts/(\d{6})/step-\d{12}(?=/)")


class Run(Dossier):
    """One execution of a job, or one trial of a sweep."""

    HEAD = "run.json"

    def manifest(self, key: str) -> Manifest:
        """Read one checkpoint's manifest. Raises MissingError, DamagedError."""
        return read_manifest(self.store, key)

    def attempts(self) -> tuple[AttemptRecord, ...]:
        """List the lives of this run, in their order. Raises DamagedError."""
        return history(self.store, self.prefix)

    def checkpoints(self) -> list[Manifest]:
        """List the checkpoints to resume from, newest first; damaged manifests are left out."""
        found = []
        for key in survey(self.store, self.prefix)[1]:
            try:
                found.append(self.manifest(key))
            except (MissingError, DamagedError) as error:
                log.warning("skipped checkpoint key=%s reason=%s", key, error)
        return found

    def latest_intact(self, folder: Path) -> Manifest | None:
        """Fetch the newest intact checkpoint into an empty folder; None before the first commit.

        Raises DamagedError if there are checkpoints and none is intact: a run never starts anew
        in silence.
        """
        tried: set[str] = set()
        listings, keys = 1, survey(self.store, self.prefix)[1]
        while keys:
            key = keys.pop(0)
            tried.add(key)
            try:
                manifest = self.manifest(key)
                self.download(manifest, folder)
            except (MissingError, DamagedError) as error:
                log.warning("skipped checkpoint key=%s reason=%s", key, error)
                if isinstance(error, MissingError) and listings < _LISTINGS:
                    # Retention removes old ones where newer ones appeared; or the listing lags.
                    listings += 1
                    keys = [k for k in survey(self.store, self.prefix)[1] if k not in tried]
            else:
                return manifest
        if tried:
            raise DamagedError(
                f"none of the {len(tried)} checkpoints of {self.prefix} in {self.store.uri} is "
                "intact; restore one from a backup, or start again with --fresh"
            )
        return None

    def download(self, manifest: Manifest, folder: Path) -> None:
        """Fetch a checkpoint's files into a folder, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RefusedError(f"{folder} is not empty; name an empty folder for the checkpoint")
        try:
            manifest.download(self.store, folder)
        except (MissingError, DamagedError):
            shutil.rmtree(folder)
            raise

    def pin(self, name: str, manifest: Manifest) -> None:
        """Point a name at a checkpoint, which is then never pruned; the newest pin holds."""
        document = {"schema": "cifar-dist/pin/1", "manifest": manifest.key}
        number = len(list(self.store.entries(self.key(f"pins/{name}")))) + 1
        while not self.store.claim(self.key(_pin(name, number)), sealed(document)):
            number += 1

    def pinned_key(self, name: str) -> str | None:
        """Give the key of the manifest that a name points at, or None. Raises DamagedError."""
        number = len(list(self.store.entries(self.key(f"pins/{name}"))))
        pin = self.recorded(_pin(name, number)) if number else None
        # By reading, as a listing may miss the newest.
        while (newer := self.recorded(_pin(name, number + 1))) is not None:
            number, pin = number + 1, newer
        return None if pin is None else str(pin["manifest"])

    def pinned(self, name: str) -> Manifest | None:
        """Give the checkpoint a name points at, or None. Raises DamagedError."""
        key = self.pinned_key(name)
        return None if key is None else self.manifest(key)

    def best(self) -> Manifest | None:
        """Give the checkpoint with the lowest validation loss so far, or None."""
        return self.pinned(BEST)

    def prune(self, keep: int, proven: Manifest | None = None) -> int:
        """Remove all checkpoints but the newest `keep` and the pinned ones; gives how many went.

        `proven` stays, too: the one that could be resumed from when newer ones perhaps could not.
        What was never committed goes, unless the newest attempt may be writing it.
        """
        newest, keys = survey(self.store, self.prefix)
        newest_kept = islice(existing(self.store, keys), keep)
        kept = {key.removesuffix(f"/{NAME}") for key in newest_kept} | self._pinned_folders()
        if proven is not None:
            kept.add(proven.folder)
        files: dict[str, list[str]] = {}
        for entry in self.store.entries(self.key("attempts")):
            # Of an attempt claimed since the survey everything is new, and being written.
            found = _STEP.match(entry.key, len(self.prefix))
            if found and int(found[1]) <= newest:
                files.setdefault(entry.key[: found.end()], []).append(entry.key)
        current = self.key(f"attempts/{newest:06d}/")
        doomed = [
            folder
            for folder in files
            if folder not in kept
            and (f"{folder}/{NAME}" in files[folder] or not folder.startswith(current))
        ]
        # Without its manifest a checkpoint is no more; only then may its files go.
        self.store.delete(f"{folder}/{NAME}" for folder in doomed)
        self.store.delete(key for folder in doomed for key in files[folder])
        return len(doomed)

    def _pinned_folders(self) -> set[str]:
        names = {BEST, *self.store.folders(self.key("pins"))}
        keys = filter(None, map(self.pinned_key, names))
        return {key.removesuffix(f"/{NAME}") for key in keys}


def _pin(name: str, number: int) -> str:
    return f"pins/{name}/{number:06d}.json"
