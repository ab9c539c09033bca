"""A run in a store: its checkpoints, the newest intact one, pins and retention."""

import logging
import re
import shutil
from pathlib import Path

from cifar_dist.errors import DamagedError, RefusedError
from cifar_dist.runs.attempts import survey
from cifar_dist.runs.dossier import Dossier
from cifar_dist.runs.manifest import NAME, Manifest, read_manifest
from cifar_dist.runs.seal import read_sealed, sealed
from cifar_dist.store import MissingError

log = logging.getLogger(__name__)
BEST = "best"
_STEP = re.compile(r"/attempts/\d{6}/step-\d{12}(?=/)")


class Run(Dossier):
    """One execution of a job, or one trial of a sweep."""

    HEAD = "run.json"

    def manifest(self, key: str) -> Manifest:
        """Read one checkpoint's manifest. Raises MissingError, DamagedError."""
        return read_manifest(self.store, key)

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
        while True:
            # Listed anew each time: retention may remove old ones while newer ones appear.
            keys = [key for key in survey(self.store, self.prefix)[1] if key not in tried]
            if not keys:
                break
            tried.add(keys[0])
            try:
                manifest = self.manifest(keys[0])
                self.download(manifest, folder)
            except (MissingError, DamagedError) as error:
                log.warning("skipped checkpoint key=%s reason=%s", keys[0], error)
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
        number = len(self._pins(name)) + 1
        while not self.store.claim(self.key(f"pins/{name}/{number:06d}.json"), sealed(document)):
            number += 1

    def pinned(self, name: str) -> Manifest | None:
        """Give the checkpoint a name points at, or None. Raises DamagedError."""
        pins = self._pins(name)
        return self.manifest(read_sealed(self.store, pins[-1])["manifest"]) if pins else None

    def best(self) -> Manifest | None:
        """Give the checkpoint with the lowest validation loss so far, or None."""
        return self.pinned(BEST)

    def prune(self, keep: int) -> int:
        """Remove all checkpoints but the newest `keep` and the pinned ones; gives how many went.

        What was never committed goes with them, unless the newest attempt may be writing it.
        """
        newest, keys = survey(self.store, self.prefix)
        kept = {key.removesuffix(f"/{NAME}") for key in keys[:keep]} | self._pinned_folders()
        files: dict[str, list[str]] = {}
        for entry in self.store.entries(self.key("attempts")):
            if found := _STEP.match(entry.key, len(self.prefix)):
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

    def _pins(self, name: str) -> list[str]:
        return [entry.key for entry in self.store.entries(self.key(f"pins/{name}"))]

    def _pinned_folders(self) -> set[str]:
        newest = (self._pins(name)[-1] for name in self.store.folders(self.key("pins")))
        return {read_sealed(self.store, key)["manifest"].removesuffix(f"/{NAME}") for key in newest}
