"""Which checkpoints of a run stay and which go: one rule for its writer and for cleaning up."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from cifar_dist.errors import DamagedError
from cifar_dist.runs.attempts import existing, survey
from cifar_dist.runs.manifest import NAME, read_manifest
from cifar_dist.store import Entry, MissingError, Store

KEEP = 3
"""Newest checkpoints that stay: should the newest be damaged, there are two more to go back to."""

_STEP = re.compile(r"/attempts/(\d{6})/step-\d{12}(?=/)")


@dataclass(frozen=True)
class Rule:
    """What stays beside the pinned ones; times are by the storage's clock."""

    keep: int = KEEP
    committed_before: datetime | None = None
    """What was committed later stays; None: nothing stays for being young."""
    left_before: datetime | None = None
    """What the newest attempt began before, and never committed, goes; None: none of it."""


@dataclass(frozen=True)
class Plan:
    """What stays of a run's checkpoints and why, and what goes."""

    kept: dict[str, list[str]] = field(default_factory=dict)
    """By folder."""
    doomed: dict[str, list[Entry]] = field(default_factory=dict)
    """By folder, its manifest first; of a committed one only what its manifest names."""

    @property
    def entries(self) -> list[Entry]:
        """All objects that go."""
        return [entry for entries in self.doomed.values() for entry in entries]

    def carry_out(self, store: Store) -> None:
        """Remove what goes."""
        keys = [entry.key for entry in self.entries]
        # Without its manifest a checkpoint is no more; only then may its files go.
        store.delete(key for key in keys if key.endswith(f"/{NAME}"))
        store.delete(key for key in keys if not key.endswith(f"/{NAME}"))


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
    newest, keys = survey(store, prefix, listing)
    found = Plan()
    for key in islice(existing(store, keys), rule.keep):
        _keep(found, key, "newest")
    for why, key in pins().items():
        _keep(found, key, why)
    if proven is not None:
        _keep(found, proven, "resumed from")
    current = f"{prefix}/attempts/{newest:06d}/"
    for folder, entries in _steps(listing, prefix, newest).items():
        if folder in found.kept:
            continue
        committed = next((entry for entry in entries if entry.key == f"{folder}/{NAME}"), None)
        if committed is not None:
            _judge_committed(store, found, committed, entries, rule)
        elif not folder.startswith(current) or _is_left(entries, rule):
            found.doomed[folder] = entries
    return found


def _keep(found: Plan, manifest: str, why: str) -> None:
    found.kept.setdefault(manifest.removesuffix(f"/{NAME}"), []).append(why)


def _steps(listing: list[Entry], prefix: str, newest: int) -> dict[str, list[Entry]]:
    """Group the listed objects by the checkpoint that they are part of."""
    steps: dict[str, list[Entry]] = {}
    for entry in listing:
        step = _STEP.match(entry.key, len(prefix))
        # Of an attempt whose claim is not there everything is somebody else's.
        if step and int(step[1]) <= newest:
            steps.setdefault(entry.key[: step.end()], []).append(entry)
    return steps


def _judge_committed(
    store: Store, found: Plan, committed: Entry, entries: list[Entry], rule: Rule
) -> None:
    folder = committed.key.removesuffix(f"/{NAME}")
    if rule.committed_before is not None and committed.modified > rule.committed_before:
        _keep(found, committed.key, "committed just now")
        return
    try:
        files = read_manifest(store, committed.key).files
    except MissingError:
        return  # somebody else removes it right now
    except DamagedError:
        _keep(found, committed.key, "its manifest is damaged")
        return
    named = {f"{folder}/{name}" for name in files}
    found.doomed[folder] = [committed, *(entry for entry in entries if entry.key in named)]


def _is_left(entries: list[Entry], rule: Rule) -> bool:
    """Tell whether nobody has written to what was begun for long enough."""
    last = max(entry.modified for entry in entries)
    return rule.left_before is not None and last < rule.left_before
