"""Attempts: who may add to a run or sweep now, and the checkpoints that an attempt commits."""

import re
import uuid
from pathlib import Path

from cifar_dist.errors import RefusedError
from cifar_dist.runs.manifest import NAME, Manifest, upload_folder
from cifar_dist.runs.seal import read_sealed, sealed
from cifar_dist.store import MissingError, Store

_SCHEMA = "cifar-dist/attempt/1"
_CLAIM = re.compile(r"(\d{6})\.json")
_COMMITTED = re.compile(rf"(\d{{6}})/step-\d{{12}}/{re.escape(NAME)}")


class Attempt:
    """One life of a run's or sweep's writer; fenced as soon as a newer one is claimed."""

    def __init__(self, store: Store, prefix: str, number: int, world_size: int = 1) -> None:
        self.store = store
        self.number = number
        self.folder = _folder(prefix, number)
        self._next_claim = f"{_folder(prefix, number + 1)}.json"
        self._world_size = world_size
        self._last: Manifest | None = None

    def check_fence(self) -> None:
        """Raise RefusedError if a newer attempt was claimed."""
        try:
            read_sealed(self.store, self._next_claim)
        except MissingError:
            return
        raise RefusedError(
            f"{self.folder} was superseded: another process continues this run since "
            f"{self._next_claim} was written; stop this one"
        )

    def commit(self, folder: Path, *, step: int, epoch: int, metrics: dict[str, float]) -> Manifest:
        """Make a checkpoint of a folder's files; safe from kills at any moment, once it returns.

        The step that was committed last is given back as it is. Raises RefusedError when fenced.
        """
        if self._last is not None and self._last.step == step:
            return self._last
        target = f"{self.folder}/step-{step:012d}"
        files = upload_folder(self.store, folder, target)
        manifest = Manifest(
            target, files, self.number, step, epoch, self._world_size, dict(metrics)
        )
        self.check_fence()
        manifest.write(self.store)
        self._last = manifest
        return manifest


def claim_attempt(store: Store, prefix: str, world_size: int = 1) -> Attempt:
    """Own the next attempt, which fences all older ones; its base is frozen in the claim."""
    while True:
        newest, checkpoints = survey(store, prefix)
        claim = {
            "schema": _SCHEMA,
            "attempt": newest + 1,
            "owner": uuid.uuid4().hex,
            "base": checkpoints[0] if checkpoints else None,
            "world_size": world_size,
        }
        if store.claim(f"{_folder(prefix, newest + 1)}.json", sealed(claim)):
            return Attempt(store, prefix, newest + 1, world_size)


def survey(store: Store, prefix: str) -> tuple[int, list[str]]:
    """Give the newest attempt's number (0: none) and the manifests to resume from, best first.

    First come the newest attempt's own, then its base and what lies before it, and so on: what a
    fenced attempt committed after it was superseded is never among them.
    """
    top, newest = f"{prefix}/attempts/", 0
    committed: dict[int, list[str]] = {}
    for entry in store.entries(f"{prefix}/attempts"):
        if found := _CLAIM.fullmatch(entry.key, len(top)):
            newest = max(newest, int(found[1]))
        elif found := _COMMITTED.fullmatch(entry.key, len(top)):
            committed.setdefault(int(found[1]), []).append(entry.key)
    keys: list[str] = []
    number, base = newest, None
    while number:
        keys += [key for key in reversed(committed.get(number, [])) if base is None or key <= base]
        base = read_sealed(store, f"{_folder(prefix, number)}.json")["base"]
        found = _COMMITTED.fullmatch(base or "", len(top))
        number = min(int(found[1]), number - 1) if found else 0
    return newest, keys


def _folder(prefix: str, number: int) -> str:
    return f"{prefix}/attempts/{number:06d}"
