"""A run in a store: its checkpoints, the newest intact one, pins and retention."""

import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from cifar_dist.documents import AttemptRecord
from cifar_dist.errors import DamagedError, RefusedError
from cifar_dist.runs.attempts import Attempt, claim_attempt, history, survey
from cifar_dist.runs.dossier import Dossier
from cifar_dist.runs.manifest import Manifest, read_manifest
from cifar_dist.runs.retention import Rule, plan
from cifar_dist.runs.seal import sealed
from cifar_dist.store import MissingError, Store

log = logging.getLogger(__name__)
BEST = "best"
_PIN = re.compile(r"([0-9]{6})\.json")
_LISTINGS = 6  # five more than one: a reader is overtaken by retention now and then, not always


class Run(Dossier):
    """One execution of a job, or one trial of a sweep."""

    HEAD = "run.json"

    def __init__(self, store: Store, prefix: str, training: int | None = None) -> None:
        """`training` is which one to go on with, of a run that consists of several."""
        super().__init__(store, prefix)
        self._training = training

    @property
    def training(self) -> int | None:
        """Which one its newest attempt is part of; None before any. Raises DamagedError."""
        return survey(self.store, self.prefix).training

    def claim_attempt(self, *, world_size: int = 1) -> Attempt:
        """Become the one who may add to it; the first of another training begins it anew."""
        return claim_attempt(self.store, self.prefix, world_size, self._training)

    def manifest(self, key: str) -> Manifest:
        """Read one checkpoint's manifest. Raises MissingError, DamagedError."""
        return read_manifest(self.store, key)

    def attempts(self) -> tuple[AttemptRecord, ...]:
        """List the lives of this run, in their order. Raises DamagedError."""
        return history(self.store, self.prefix)

    def checkpoints(self) -> list[Manifest]:
        """List the checkpoints to resume from, newest first; damaged manifests are left out."""
        found = []
        for key in survey(self.store, self.prefix).keys:
            try:
                found.append(self.manifest(key))
            except (MissingError, DamagedError) as error:
                log.warning("skipped checkpoint key=%s reason=%s", key, error)
        return found

    def newest_intact(self, take: Callable[[Manifest], None]) -> Manifest | None:
        """Let `take` have the newest checkpoint that it does not find damaged; None before any.

        Raises DamagedError if there are checkpoints and none is intact: a run never starts anew
        in silence.
        """
        tried: set[str] = set()
        listings, keys = 1, survey(self.store, self.prefix).keys
        while keys:
            key = keys.pop(0)
            tried.add(key)
            try:
                manifest = self.manifest(key)
                take(manifest)
            except (MissingError, DamagedError) as error:
                log.warning("skipped checkpoint key=%s reason=%s", key, error)
                if isinstance(error, MissingError) and listings < _LISTINGS:
                    # Retention removes old ones where newer ones appeared; or the listing lags.
                    listings += 1
                    keys = [k for k in survey(self.store, self.prefix).keys if k not in tried]
            else:
                return manifest
        if tried:
            raise DamagedError(
                f"none of the {len(tried)} checkpoints of {self.prefix} in {self.store.uri} is "
                "intact; restore one from a backup, or start again with --fresh"
            )
        return None

    def latest_intact(self, folder: Path) -> Manifest | None:
        """Fetch the newest intact checkpoint into an empty folder, as `newest_intact` says."""
        return self.newest_intact(lambda manifest: self.download(manifest, folder))

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
        self._point(name, manifest.key)

    def unpin(self, name: str) -> None:
        """Let a name point at nothing; what it pointed at may be pruned."""
        self._point(name, None)

    def pinned_key(self, name: str) -> str | None:
        """Give the key of the manifest that a name points at, or None. Raises DamagedError."""
        number = self._listed_pin(name)
        pin = self.recorded(_pin(name, number)) if number else None
        # By reading, as a listing may miss the newest.
        while (newer := self.recorded(_pin(name, number + 1))) is not None:
            number, pin = number + 1, newer
        return None if pin is None or pin["manifest"] is None else str(pin["manifest"])

    def pin_names(self) -> list[str]:
        """Give the names that point at checkpoints, or once did."""
        return sorted({BEST, *self.store.folders(self.key("pins"))})

    def pins(self) -> dict[str, str]:
        """Give the names that point at checkpoints, and the keys of their manifests."""
        keys = {name: self.pinned_key(name) for name in self.pin_names()}
        return {name: key for name, key in keys.items() if key is not None}

    def take_pinned(self, name: str, take: Callable[[Manifest], None]) -> Manifest | None:
        """Let `take` have the checkpoint a name points at, again where a newer pin moved it.

        Raises MissingError, DamagedError.
        """
        key, tries = self.pinned_key(name), _LISTINGS
        while key is not None:
            try:
                manifest = self.manifest(key)
                take(manifest)
            except MissingError:
                tries -= 1
                newer = self.pinned_key(name)
                if newer == key or not tries:
                    raise
                key = newer
            else:
                return manifest
        return None

    def pinned(self, name: str) -> Manifest | None:
        """Give the checkpoint a name points at, or None. Raises MissingError, DamagedError."""
        return self.take_pinned(name, lambda _: None)

    def best(self) -> Manifest | None:
        """Give the checkpoint with the lowest validation loss so far, or None."""
        return self.pinned(BEST)

    def prune(self, keep: int, proven: Manifest | None = None) -> int:
        """Remove all checkpoints but the newest `keep` and the pinned ones; gives how many went.

        `proven` stays, too: the one that could be resumed from when newer ones perhaps could not.
        What was never committed goes, unless the newest attempt may be writing it.
        """
        known = None if proven is None else proven.key
        found = plan(self.store, self.prefix, Rule(keep), self.pins, known)
        found.carry_out(self.store, self.pins)
        return len(found.doomed)

    def _listed_pin(self, name: str) -> int:
        """Give the highest number of a name's listed pins, whatever else lies there; 0: none."""
        folder = self.key(f"pins/{name}")
        names = (entry.key[len(folder) + 1 :] for entry in self.store.entries(folder))
        return max((int(found[1]) for found in map(_PIN.fullmatch, names) if found), default=0)

    def _point(self, name: str, manifest: str | None) -> None:
        document = {"schema": "cifar-dist/pin/1", "manifest": manifest}
        number = self._listed_pin(name) + 1
        while not self.store.claim(self.key(_pin(name, number)), sealed(document)):
            number += 1


def _pin(name: str, number: int) -> str:
    return f"pins/{name}/{number:06d}.json"
