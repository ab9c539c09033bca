"""Cleaning up a store: what no run or sweep needs any more goes, and nothing else."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import ValidationError

from cifar_dist.documents import GcDocument, GcRow, KeptCheckpoint, RunState, TuneDocument
from cifar_dist.errors import DamagedError
from cifar_dist.runs.identity import is_identity
from cifar_dist.runs.inventory import KINDS, READERS, is_begun, locate
from cifar_dist.runs.retention import KEEP, Plan, Rule, plan
from cifar_dist.runs.run import BEST, Run
from cifar_dist.runs.sweep import Sweep
from cifar_dist.search import rank
from cifar_dist.store import MissingError, Store
from cifar_dist.store.addresses import FOLDERS


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


_DAMAGED = _Judged(
    Plan(), "damaged", "left alone: its documents are damaged, see `artifacts verify`"
)


def clean(store: Store, names: Sequence[str], policy: Policy, *, dry_run: bool) -> GcDocument:
    """Remove from runs and sweeps, all of them if none is named, what the policy lets go.

    Beside unfinished uploads only checkpoints go, and of these only what their manifest names. A
    dry run changes nothing and gives the same document. Raises ConfigError, and StoreError where
    the right to list or to delete is missing.
    """
    found = [locate(store, name) for name in dict.fromkeys(names)] or _all(store)
    with ThreadPoolExecutor(READERS) as readers:
        judged = _Cleaner(policy, store.now(), dry_run, readers).clean(found)
    rows = [_row(dossier, each) for dossier, each in zip(found, judged, strict=True)]
    folders = [dossier.prefix for dossier in found] if names else FOLDERS
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
        if is_begun(found := build(store, f"{kind}/{name}"))
    ]


class _Cleaner:
    """Judges each run and trial and removes at once what goes: pins may come any moment."""

    def __init__(
        self, policy: Policy, now: datetime, dry_run: bool, readers: ThreadPoolExecutor
    ) -> None:
        self._rule = Rule(policy.keep, now - policy.young, now - policy.older_than)
        self._keep_trials = policy.keep_trials
        self._dry_run = dry_run
        self._readers = readers

    def clean(self, found: list[Run | Sweep]) -> list[_Judged]:
        """Clean the runs many at once, and then each sweep, many of its trials at once."""
        runs = [each for each in found if isinstance(each, Run)]
        done = iter(list(self._readers.map(self._run, runs)))
        return [next(done) if isinstance(each, Run) else self._sweep(each) for each in found]

    def _run(self, run: Run) -> _Judged:
        try:
            finished = run.finished is not None
            plan = self._cleaned(run, replace(self._rule, goes_on=not finished))
        except (MissingError, DamagedError):
            return _DAMAGED
        return _Judged(plan, "finished" if finished else "unfinished")

    def _sweep(self, sweep: Sweep) -> _Judged:
        try:
            return self._trials(sweep)
        except (MissingError, DamagedError):
            return _DAMAGED

    def _trials(self, sweep: Sweep) -> _Judged:
        result = sweep.finished
        if result is None:
            return _Judged(Plan(), "unfinished", "left alone: its trials may go on")
        try:
            document = TuneDocument.model_validate(result)
        except ValidationError:
            return _Judged(Plan(), note="left alone: its result is of another version")
        best = [row.trial for row in rank(document.trials)][: self._keep_trials]
        kept, ended = {*best, document.best}, {row.trial for row in document.trials}

        def cleaned(number: int) -> Plan:
            rule = self._rule if number in kept else replace(self._rule, keep=0)
            return self._cleaned(sweep.trial(number), rule)

        names = sweep.store.folders(sweep.key("trials"))
        # What a spent budget cut short before its first epoch goes on if the sweep is extended.
        numbers = [int(name) for name in names if name.isdecimal() and int(name) in ended]
        found = Plan()
        for each in self._readers.map(cleaned, numbers):
            found.kept.update(each.kept)
            found.doomed.update(each.doomed)
        return _Judged(found)

    def _cleaned(self, run: Run, rule: Rule) -> Plan:
        def pins() -> dict[str, str]:
            found = run.pins()
            best = {BEST: found.pop(BEST)} if BEST in found and rule.keep else {}
            return {**best, **{f"pin {name}": key for name, key in found.items() if name != BEST}}

        found = plan(run.store, run.prefix, rule, pins)
        if not self._dry_run:
            found.carry_out(run.store, pins)
        return found


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
