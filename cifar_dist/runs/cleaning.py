"""Cleaning up a store: what no run or sweep needs any more goes, and nothing else."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta

from pydantic import ValidationError

from cifar_dist.documents import GcDocument, GcRow, KeptCheckpoint, RunState, TuneDocument
from cifar_dist.errors import DamagedError
from cifar_dist.runs.identity import is_identity
from cifar_dist.runs.inventory import KINDS, locate
from cifar_dist.runs.retention import KEEP, Plan, Rule, plan
from cifar_dist.runs.run import BEST, Run
from cifar_dist.runs.sweep import Sweep
from cifar_dist.search import rank
from cifar_dist.store import MissingError, Store

_FOLDERS = ("runs", "sweeps", "datasets")  # all that this program ever uploads to
_READERS = 8  # requests at once, as each waits for the storage


@dataclass(frozen=True)
class Policy:
    """What stays when a store is cleaned up; ages are by the storage's clock."""

    keep: int = KEEP
    """Newest checkpoints of each run, beside the best, the pinned and the one resumed from."""
    keep_trials: int = 1
    """Best trials of a finished sweep whose checkpoints stay, the winner first.

    One is enough to use and to explain what was found; scores and films of all the others stay.
    """
    older_than: timedelta = timedelta(hours=24)
    """What was begun and never committed goes once it is older."""
    young: timedelta = timedelta(minutes=10)
    """What was committed since stays, as somebody may be about to read it or to pin it."""


@dataclass(frozen=True)
class _Judged:
    plan: Plan
    state: RunState = "finished"
    note: str | None = None


def clean(store: Store, names: Sequence[str], policy: Policy, *, dry_run: bool) -> GcDocument:
    """Remove from runs and sweeps, all of them if none is named, what the policy lets go.

    Beside unfinished uploads only checkpoints go, and of these only what their manifest names. A
    dry run changes nothing and gives the same document. Raises ConfigError, and StoreError where
    the right to list or to delete is missing.
    """
    found = [locate(store, name) for name in dict.fromkeys(names)] or _all(store)
    now = store.now()
    rule = Rule(policy.keep, now - policy.young, now - policy.older_than)
    rows = []
    for dossier in found:
        judged = _judged(dossier, rule, policy.keep_trials)
        if not dry_run:
            judged.plan.carry_out(store)
        rows.append(_row(dossier, judged))
    folders = [dossier.prefix for dossier in found] if names else _FOLDERS
    discard = store.unfinished if dry_run else store.discard_unfinished
    return GcDocument(
        store=store.uri,
        dry_run=dry_run,
        rows=rows,
        objects=sum(row.objects for row in rows),
        bytes=sum(row.bytes for row in rows),
        unfinished_uploads=discard(policy.older_than, folders),
        older_than_seconds=policy.older_than.total_seconds(),
    )


def _all(store: Store) -> list[Run | Sweep]:
    """Give the runs and sweeps by id; a folder without a head document is somebody else's."""
    return [
        found
        for kind, build in KINDS.items()
        for name in filter(is_identity, store.folders(kind))
        if _is_ours(found := build(store, f"{kind}/{name}"))
    ]


def _is_ours(dossier: Run | Sweep) -> bool:
    try:
        return dossier.exists
    except DamagedError:
        return True


def _judged(dossier: Run | Sweep, rule: Rule, keep_trials: int) -> _Judged:
    try:
        if isinstance(dossier, Sweep):
            return _judged_sweep(dossier, rule, keep_trials)
        finished = dossier.finished is not None
        found = _plan(dossier, rule, None if finished else dossier.base())
        return _Judged(found, "finished" if finished else "unfinished")
    except (MissingError, DamagedError):
        note = "left alone: its documents are damaged, see `artifacts verify`"
        return _Judged(Plan(), "damaged", note)


def _judged_sweep(sweep: Sweep, rule: Rule, keep_trials: int) -> _Judged:
    result = sweep.finished
    if result is None:
        return _Judged(Plan(), "unfinished", "left alone: its trials may go on")
    try:
        document = TuneDocument.model_validate(result)
    except ValidationError:
        return _Judged(Plan(), note="left alone: its result is of another version")
    best = [row.trial for row in rank(document.trials)][:keep_trials]
    kept, ended = {*best, document.best}, {row.trial for row in document.trials}

    def judged(number: int) -> Plan:
        return _plan(sweep.trial(number), rule if number in kept else replace(rule, keep=0))

    names = sweep.store.folders(sweep.key("trials"))
    # What a spent budget cut short before its first epoch goes on if the sweep is extended.
    numbers = [int(name) for name in names if name.isdecimal() and int(name) in ended]
    found = Plan()
    with ThreadPoolExecutor(_READERS) as readers:
        for each in readers.map(judged, numbers):
            found.kept.update(each.kept)
            found.doomed.update(each.doomed)
    return _Judged(found)


def _plan(run: Run, rule: Rule, base: str | None = None) -> Plan:
    def pins() -> dict[str, str]:
        found = run.pins()
        best = {BEST: found.pop(BEST)} if BEST in found and rule.keep else {}
        return {**best, **{f"pin {name}": key for name, key in found.items() if name != BEST}}

    return plan(run.store, run.prefix, rule, pins, base)


def _row(dossier: Run | Sweep, judged: _Judged) -> GcRow:
    entries = judged.plan.entries
    return GcRow(
        key=dossier.prefix,
        state=judged.state,
        objects=len(entries),
        bytes=sum(entry.bytes for entry in entries),
        kept=[
            KeptCheckpoint(key=folder, why=why) for folder, why in sorted(judged.plan.kept.items())
        ],
        note=judged.note,
    )
