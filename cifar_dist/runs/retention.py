"""Which checkpoints of a run stay and which go: one rule for its writer and for cleaning up."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from itertools import islice

from cifar_dist.errors import DamagedError
from cifar_dist.runs.attempts import Survey, survey
from cifar_dist.runs.manifest import NAME, Manifest, glance, read_manifest
from cifar_dist.store import Entry, MissingError, Store

KEEP = 3
"""Newest checkpoints that stay: should the newest be damaged, there are two more to go back to."""

FILES = frozenset({"history.json", "model.safetensors", "state.pt"})
"""All that a checkpoint has beside its manifest; what else lies in its folder is somebody else's.
"""

_STEP = re.compile(r"/attempts/(\d{6})/step-\d{12}(?=/)")


@dataclass(frozen=True)
class Rule:
    """What stays beside the pinned ones; times are by the storage's clock."""

    keep: int = KEEP
    committed_before: datetime | None = None
    """What was committed later stays; None: nothing stays for being young."""
    left_before: datetime | None = None
    """What the newest attempt began before and never committed goes, as do older checkpoints whose
    manifest is damaged; None: none of it."""
    goes_on: bool = False
    """Whether what the newest attempt may have gone on from stays: all of the older ones until it
    has `keep` of its own, as only it knows which of those it could read, and then its base."""


@dataclass(frozen=True)
class Plan:
    """What stays of a run's checkpoints and why, and what goes."""

    kept: dict[str, list[str]] = field(default_factory=dict)
    """By folder."""
    doomed: dict[str, list[Entry]] = field(default_factory=dict)
    """By folder, its manifest first; beside it only what it names, or a checkpoint has."""

    @property
    def entries(self) -> list[Entry]:
        """All objects that go."""
        return [entry for entries in self.doomed.values() for entry in entries]

    def carry_out(self, store: Store, pins: Callable[[], Mapping[str, str]]) -> None:
        """Remove what goes, but for what was pinned since it was judged."""
        for why, key in (pins() if self.doomed else {}).items():
            if self.doomed.pop(key.removesuffix(f"/{NAME}"), None):
                self.keep(key, why)
        keys = [entry.key for entry in self.entries]
        # Without its manifest a checkpoint is no more; only then may its files go.
        store.delete(key for key in keys if key.endswith(f"/{NAME}"))
        store.delete(key for key in keys if not key.endswith(f"/{NAME}"))

    def keep(self, manifest: str, why: str) -> None:
        """Let the checkpoint of a manifest stay, for one more reason."""
        self.kept.setdefault(manifest.removesuffix(f"/{NAME}"), []).append(why)


def plan(
    store: Store,
    prefix: str,
    rule: Rule,
    pins: Callable[[], Mapping[str, str]],
    proven: str | None = None,
) -> Plan:
    """Judge every checkpoint below a run's prefix; nothing is changed. Raises DamagedError.

    `pins` gives manifests by why each of them stays; `proven` is the one that was resumed from, as
    newer ones perhaps cannot be. What was never committed goes where its attempt was superseded.
    """
    # One listing for all: what is committed after it is neither counted nor judged. And pins are
    # read after it: a writer pins what is best before it commits another.
    listing = list(store.entries(f"{prefix}/attempts"))
    seen = survey(store, prefix, listing)
    judge = _Judge(store, rule, seen)
    found = judge.plan
    for why, key in pins().items():
        found.keep(key, why)
    for base in (proven, seen.base if rule.goes_on else None):
        if base is not None:
            found.keep(base, "resumed from")
    for folder, (attempt, entries) in _steps(listing, prefix, seen.newest).items():
        if folder not in found.kept:
            judge.judge(folder, attempt, entries)
    return found


def _steps(listing: list[Entry], prefix: str, newest: int) -> dict[str, tuple[int, list[Entry]]]:
    """Group the listed objects by the checkpoint that they are part of; gives its attempt, too."""
    steps: dict[str, tuple[int, list[Entry]]] = {}
    for entry in listing:
        step = _STEP.match(entry.key, len(prefix))
        # Of an attempt whose claim is not there everything is somebody else's.
        if step and int(step[1]) <= newest:
            folder = entry.key[: step.end()]
            steps.setdefault(folder, (int(step[1]), []))[1].append(entry)
    return steps


class _Judge:
    """Adds to a plan, one checkpoint after the other; each manifest is read once."""

    def __init__(self, store: Store, rule: Rule, seen: Survey) -> None:
        self.plan = Plan()
        self._store = store
        self._rule = rule
        self._seen = seen
        self._glance: Callable[[str], Manifest | None] = cache(partial(glance, store))
        newest = list(islice(self._whole(seen.keys), rule.keep))
        for key in newest:
            self.plan.keep(key, "newest")
        self._enough = len(newest) == rule.keep
        own = sum(f"/attempts/{seen.newest:06d}/" in key for key in newest)
        self._own_enough = own == rule.keep

    def judge(self, folder: str, attempt: int, entries: list[Entry]) -> None:
        """Judge the objects of one checkpoint of an attempt."""
        committed = next((entry for entry in entries if entry.key == f"{folder}/{NAME}"), None)
        if committed is not None:
            self._judge_committed(committed, attempt, entries)
        elif self._seen.cut <= attempt < self._seen.newest or self._is_left(attempt, entries):
            ours = _of(folder, FILES, entries)
            if ours:
                self.plan.doomed[folder] = ours

    def _judge_committed(self, committed: Entry, attempt: int, entries: list[Entry]) -> None:
        folder = committed.key.removesuffix(f"/{NAME}")
        if (why := self._reason(committed, attempt)) is not None:
            self.plan.keep(committed.key, why)
            return
        try:
            manifest = self._glance(committed.key)
        except MissingError:
            return  # somebody else removes it right now
        if manifest is None and not self._is_to_go(committed):
            self.plan.keep(committed.key, "its manifest is damaged")
            return
        names = FILES if manifest is None else manifest.files
        self.plan.doomed[folder] = [committed, *_of(folder, names, entries)]

    def _reason(self, committed: Entry, attempt: int) -> str | None:
        """Say why a checkpoint stays whatever its manifest says."""
        rule, seen = self._rule, self._seen
        if rule.committed_before is not None and committed.modified > rule.committed_before:
            return "committed just now"
        if attempt < seen.cut:
            return "a newer claim is damaged"
        if rule.goes_on and attempt < seen.newest and not self._own_enough:
            return "perhaps resumed from"
        return None

    def _is_to_go(self, committed: Entry) -> bool:
        """Tell whether a checkpoint that came damaged is so for good, old, and not missed."""
        oldest = self._rule.left_before
        if oldest is None or committed.modified >= oldest or not self._enough:
            return False
        with suppress(DamagedError, MissingError):
            read_manifest(self._store, committed.key)
            return False
        return True

    def _is_left(self, attempt: int, entries: list[Entry]) -> bool:
        """Tell whether nobody has written for long enough to what the newest attempt began."""
        last = max(entry.modified for entry in entries)
        oldest = self._rule.left_before
        return attempt == self._seen.newest and oldest is not None and last < oldest

    def _whole(self, keys: Iterable[str]) -> Iterator[str]:
        for key in keys:
            with suppress(MissingError):
                if self._glance(key) is not None:
                    yield key


def _of(folder: str, names: Iterable[str], entries: list[Entry]) -> list[Entry]:
    keys = {f"{folder}/{name}" for name in names}
    return [entry for entry in entries if entry.key in keys]
