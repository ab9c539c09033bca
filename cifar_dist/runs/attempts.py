"""Attempts: who may add to a run or sweep now, and the checkpoints that an attempt commits."""

import logging
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from cifar_dist.documents import AttemptRecord
from cifar_dist.errors import DamagedError, RefusedError
from cifar_dist.runs.manifest import NAME, Manifest, read_manifest, upload_folder
from cifar_dist.runs.seal import read_sealed, sealed
from cifar_dist.store import Entry, MissingError, Store

log = logging.getLogger(__name__)
_SCHEMA = "cifar-dist/attempt/1"
_CLAIM = re.compile(r"(\d{6})\.json")
_COMMITTED = re.compile(rf"(\d{{6}})/step-(\d{{12}})/{re.escape(NAME)}")


class Survey(NamedTuple):
    """What a run's claims and manifests say of where it may go on."""

    newest: int
    """The newest attempt's number; 0: none."""
    keys: list[str]
    """The manifests to resume from, best first."""
    base: str | None = None
    """The manifest that the newest attempt was to go on from; None where it was the first."""
    cut: int = 0
    """The attempt whose claim is damaged, so that of older ones nothing is known; 0: none."""
    training: int | None = None
    """Which of a run's trainings the newest attempt is part of; None where it has but one."""


class Attempt:
    """One life of a run's or sweep's writer; fenced as soon as a newer one is claimed."""

    def __init__(
        self,
        store: Store,
        prefix: str,
        number: int,
        world_size: int = 1,
        base: str | None = None,
    ) -> None:
        self.store = store
        self.number = number
        self.base = base
        """The manifest that it is to go on from; None: it begins at the beginning."""
        self.folder = _folder(prefix, number)
        self._prefix = prefix
        self._world_size = world_size
        self._last: Manifest | None = None

    def check_fence(self) -> None:
        """Raise RefusedError if a newer attempt was claimed."""
        if _claim(self.store, self._prefix, self.number + 1) is not None:
            raise RefusedError(
                f"{self.folder} was superseded: another process continues this run since "
                f"{_claim_key(self._prefix, self.number + 1)} was written; stop this one"
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


def claim_attempt(
    store: Store, prefix: str, world_size: int = 1, training: int | None = None
) -> Attempt:
    """Own the next attempt, which fences all older ones; its base is frozen in the claim.

    The first attempt of another training of the same run begins at its beginning.
    """
    while True:
        newest, checkpoints, *_, claimed = survey(store, prefix)
        if training is not None and claimed not in {None, training}:
            checkpoints = []
        # If none can be read its reader must still know that there was one.
        fallback = checkpoints[0] if checkpoints else None
        base = next(existing(store, checkpoints), fallback)
        claim = {
            "schema": _SCHEMA,
            "attempt": newest + 1,
            "owner": uuid.uuid4().hex,
            "base": base,
            "world_size": world_size,
            **({} if training is None else {"training": training}),
        }
        if store.claim(_claim_key(prefix, newest + 1), sealed(claim)):
            return Attempt(store, prefix, newest + 1, world_size, base)


def survey(store: Store, prefix: str, entries: Iterable[Entry] | None = None) -> Survey:
    """Find the newest attempt and the manifests to resume from. Raises DamagedError.

    `entries` is a listing of its attempts, if there is one already.

    First come the newest attempt's own, then its base and what lies before it, and so on: what a
    fenced attempt committed after it was superseded is never among them. A listing may lag: the
    newest claim is found by reading, and a manifest that is listed may be gone.
    """
    listed = store.entries(f"{prefix}/attempts") if entries is None else entries
    newest, committed = _listed(store, prefix, listed)
    keys: list[str] = []
    number, base, newest_base, cut, training = newest, None, None, 0, None
    while number:
        keys += [key for key in reversed(committed.get(number, [])) if base is None or key <= base]
        try:
            claim = read_sealed(store, _claim_key(prefix, number))
        except DamagedError as error:
            if not keys:
                raise
            log.warning("skipped attempts from=%d down reason=%s", number - 1, error)
            cut = number
            break
        base = claim["base"]
        if number == newest:
            newest_base, training = base, claim.get("training")
        found = _COMMITTED.search(base or "")
        number = min(int(found[1]), number - 1) if found else 0
        if found and base not in committed.setdefault(number, []):
            # Not listed, or lost: whoever finds nothing else must not begin anew in silence.
            committed[number] = sorted([*committed[number], base])
    return Survey(newest, keys, newest_base, cut, training)


def _listed(
    store: Store, prefix: str, entries: Iterable[Entry]
) -> tuple[int, dict[int, list[str]]]:
    """Give the newest attempt's number and, by attempt, the manifests that are listed."""
    top, newest = f"{prefix}/attempts/", 0
    committed: dict[int, list[str]] = {}
    for entry in entries:
        if found := _CLAIM.fullmatch(entry.key, len(top)):
            newest = max(newest, int(found[1]))
        elif found := _COMMITTED.fullmatch(entry.key, len(top)):
            committed.setdefault(int(found[1]), []).append(entry.key)
    while _claim(store, prefix, newest + 1) is not None:
        newest += 1
    return newest, committed


def existing(store: Store, manifests: Iterable[str]) -> Iterator[str]:
    """Give those of these manifests that can be read, in their order."""
    for key in manifests:
        with suppress(MissingError, DamagedError):
            yield read_manifest(store, key).key


def history(store: Store, prefix: str) -> tuple[AttemptRecord, ...]:
    """Tell of every attempt so far, by its claim; a damaged one is left out."""
    records: list[AttemptRecord] = []
    for number in range(1, survey(store, prefix).newest + 1):
        try:
            claim = read_sealed(store, _claim_key(prefix, number))
        except (MissingError, DamagedError) as error:
            log.warning("skipped attempt key=%s reason=%s", _claim_key(prefix, number), error)
            continue
        found = _COMMITTED.search(claim["base"] or "")
        records.append(
            AttemptRecord(
                number=claim["attempt"],
                workers=claim["world_size"],
                resumed_step=int(found[2]) if found else None,
            )
        )
    return tuple(records)


def _claim(store: Store, prefix: str, number: int) -> dict[str, Any] | None:
    try:
        return read_sealed(store, _claim_key(prefix, number))
    except MissingError:
        return None


def _claim_key(prefix: str, number: int) -> str:
    return f"{_folder(prefix, number)}.json"


def _folder(prefix: str, number: int) -> str:
    return f"{prefix}/attempts/{number:06d}"
