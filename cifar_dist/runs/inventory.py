"""What a store holds, for people: lists, verdicts, and which checkpoints still serve."""

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal, get_args

from cifar_dist.documents import ArtifactRow, RunState, ServingCheckpoint
from cifar_dist.errors import ConfigError, DamagedError, RefusedError
from cifar_dist.problems import nearest, shown
from cifar_dist.runs.attempts import survey
from cifar_dist.runs.identity import is_identity
from cifar_dist.runs.manifest import NAME, Manifest, read_manifest
from cifar_dist.runs.run import Run
from cifar_dist.runs.seal import read_sealed
from cifar_dist.runs.sweep import Sweep
from cifar_dist.store import Content, Entry, MissingError, Store

Kind = Literal["runs", "sweeps"]
Verdict = Literal["damaged", "missing", "intact"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)  # the worst first
LATEST = "latest"
READERS = 8
"""Requests at once where many objects are read, as each waits for the storage."""
_SEALED = re.compile(
    r"(trials/\d+/)?((run|sweep|(extensions/\d+/)?result|precision|share)\.json|"
    r"(attempts|extensions|(pins|confirmations)/[^/]+)/\d{6}\.json|film/\d{6}-\d{6}\.json)"
)
_TRIAL = re.compile(r"sweeps/[^/]+/trials/\d+(?=/)")
KINDS: dict[Kind, type[Run] | type[Sweep]] = {"runs": Run, "sweeps": Sweep}


@dataclass(frozen=True)
class RunRow:
    """One run or sweep of a store."""

    id: str
    kind: Kind
    state: RunState
    bytes: int
    modified: datetime
    """When its newest object was written."""


def list_runs(store: Store, kind: str | None = None, prefix: str = "") -> list[RunRow]:
    """List the runs and the sweeps of a store by id, with the bytes of all their objects.

    Only those of a kind, and whose id begins with `prefix`, if these are given.
    """
    rows = []
    for each in [each for each in KINDS if kind in (None, each)]:
        sizes: Counter[str] = Counter()
        newest: dict[str, datetime] = {}
        for entry in store.entries(each):
            name = entry.key.split("/")[1]
            sizes[name] += entry.bytes
            newest[name] = max(entry.modified, newest.get(name, entry.modified))
        for name in sorted(filter(is_identity, sizes)):
            if name.startswith(prefix):
                state = _state(KINDS[each](store, f"{each}/{name}"))
                rows.append(RunRow(name, each, state, sizes[name], newest[name]))
    return rows


def is_begun(dossier: Run | Sweep) -> bool:
    """Tell whether there is a head document, damaged or not."""
    try:
        return dossier.exists
    except DamagedError:
        return True


def locate(store: Store, name: str) -> Run | Sweep:
    """Find a run or sweep by its id. Raises ConfigError that names the nearest one."""
    if is_identity(name):
        for kind, build in KINDS.items():
            if (found := build(store, f"{kind}/{name}")).exists:
                return found
    known = [folder for kind in KINDS for folder in store.folders(kind)]
    hint = nearest(name, known) if known else "the store is empty; name another with --store"
    raise ConfigError(f"there is no run or sweep {shown(name)} in {store.uri}; {hint}")


def winner(found: Run | Sweep) -> Run:
    """Give a run itself, and of a sweep the run that won. Raises RefusedError without one."""
    if isinstance(found, Run):
        return found
    prefix = (found.result or {}).get("winner_run")
    if not prefix:
        raise RefusedError(
            f"{found.prefix} has no winner: it is unfinished or all its trials failed; resume it"
        )
    return Run(found.store, prefix)


def artifacts(store: Store, name: str) -> list[ArtifactRow]:
    """List every object of a run or sweep, with the SHA-256 that its manifest records."""
    prefix = locate(store, name).prefix
    entries = list(store.entries(prefix))
    recorded = dict(_recorded(store, entries))
    return [
        ArtifactRow(
            key=entry.key,
            bytes=entry.bytes,
            sha256=recorded.get(entry.key),
            modified=stamped(entry.modified),
        )
        for entry in entries
    ]


def best_files(store: Store, name: str) -> list[ArtifactRow]:
    """List the files of the best checkpoint of a run, or of a sweep's winner."""
    run = winner(locate(store, name))
    manifest = run.best()
    if manifest is None:
        raise RefusedError(f"{run.prefix} has no best checkpoint yet; wait for its first epoch")
    return [
        ArtifactRow(key=key, bytes=content.bytes, sha256=content.sha256)
        for key, content in _files(manifest)
    ]


def verify(store: Store, name: str) -> list[ArtifactRow]:
    """Read everything that a manifest promises, and then every document that carries its hash.

    Each row's verdict is intact, damaged or missing.
    """
    prefix = _located(store, name).prefix
    entries = list(store.entries(prefix))
    rows: list[ArtifactRow] = []
    for entry in _manifests(entries):
        try:
            manifest = read_manifest(store, entry.key)
        except DamagedError:
            rows.append(ArtifactRow(key=entry.key, bytes=entry.bytes, verdict="damaged"))
        except MissingError:
            continue  # retention removed it since it was listed
        else:
            rows += _judged(store, manifest)
    documents = [e for e in entries if _SEALED.fullmatch(e.key, len(prefix) + 1)]
    with ThreadPoolExecutor(READERS) as readers:
        return [*rows, *filter(None, readers.map(partial(_judged_document, store), documents))]


def serving(store: Store, name: str, rows: list[ArtifactRow]) -> list[ServingCheckpoint]:
    """Say by the rows of a verification what each run could be resumed from, and of its pins.

    Of a sweep these are its winner, if that lies in it, and every trial with something damaged.
    """
    found = _located(store, name)
    runs = [found.prefix] if isinstance(found, Run) else []
    if isinstance(found, Sweep):
        won = _won(found)
        bad = [row.key for row in rows if row.verdict != "intact"]
        trials = {_run_of(key) for key in bad if "/trials/" in key}
        runs = sorted({won} & {_run_of(row.key) for row in rows} | trials)
    return [each for run in runs for each in _serving(Run(store, run), rows)]


def _located(store: Store, name: str) -> Run | Sweep:
    """Find a run or sweep, by `locate` but for a damaged head document."""
    for kind, build in KINDS.items():
        if is_identity(name) and is_begun(found := build(store, f"{kind}/{name}")):
            return found
    return locate(store, name)


def _won(sweep: Sweep) -> str:
    try:
        return str((sweep.result or {}).get("winner_run"))
    except DamagedError:
        return ""


def stamped(moment: datetime) -> str:
    """Write a moment for machines."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _serving(run: Run, rows: list[ArtifactRow]) -> Iterator[ServingCheckpoint]:
    known: dict[str, set[str]] = {}
    for row in rows:
        above, mark, rest = row.key.partition("/step-")
        step = f"{above}{mark}{rest.partition('/')[0]}"
        known.setdefault(step, set()).add(str(row.verdict))

    def verdict(key: str) -> Verdict:
        folder = key.removesuffix(f"/{NAME}")
        # Committed since the verification, or gone.
        found = known.get(folder) or _verdicts(run.store, key)
        return next(each for each in VERDICTS if each in found)

    try:
        keys = survey(run.store, run.prefix).keys
        latest = next((key for key in keys if verdict(key) == "intact"), None)
        if keys:
            yield _serves(run, LATEST, latest, "intact" if latest else "damaged")
    except DamagedError:  # the newest claim, which says where to go on
        yield _serves(run, LATEST, None, "damaged")
    for name in run.pin_names():
        try:
            if (key := run.pinned_key(name)) is not None:
                yield _serves(run, name, key, verdict(key))
        except DamagedError:
            yield _serves(run, name, None, "damaged")


def _serves(run: Run, name: str, key: str | None, verdict: Verdict) -> ServingCheckpoint:
    folder = None if key is None else key.removesuffix(f"/{NAME}")
    return ServingCheckpoint(run=run.prefix, name=name, key=folder, verdict=verdict)


def _verdicts(store: Store, key: str) -> set[str]:
    try:
        rows = _judged(store, read_manifest(store, key))
    except MissingError:
        return {"missing"}
    except DamagedError:
        return {"damaged"}
    return {str(row.verdict) for row in rows} or {"missing"}


def _run_of(key: str) -> str:
    trial = _TRIAL.match(key)
    return trial[0] if trial else key.partition("/attempts/")[0]


def _state(dossier: Run | Sweep) -> RunState:
    try:
        return "unfinished" if dossier.finished is None else "finished"
    except DamagedError:
        return "damaged"


def _manifests(entries: Iterator[Entry] | list[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.key.endswith(f"/{NAME}")]


def _files(manifest: Manifest) -> Iterator[tuple[str, Content]]:
    for name, content in manifest.files.items():
        yield f"{manifest.folder}/{name}", content


def _recorded(store: Store, entries: list[Entry]) -> Iterator[tuple[str, str]]:
    for entry in _manifests(entries):
        with suppress(DamagedError, MissingError):
            for file, content in _files(read_manifest(store, entry.key)):
                yield file, content.sha256


def _judged(store: Store, manifest: Manifest) -> list[ArtifactRow]:
    rows = []
    for key, expected in _files(manifest):
        try:
            verdict = "intact" if store.holds(key, expected) else "damaged"
        except MissingError:
            verdict = "missing"
        rows.append(
            ArtifactRow(key=key, bytes=expected.bytes, sha256=expected.sha256, verdict=verdict)
        )
    if any(row.verdict == "missing" for row in rows) and not _is_there(store, manifest.key):
        return []  # retention removed the checkpoint while it was read
    return rows


def _judged_document(store: Store, entry: Entry) -> ArtifactRow | None:
    verdict: Verdict = "intact"
    try:
        read_sealed(store, entry.key)
    except DamagedError:
        verdict = "damaged"
    except MissingError:
        return None
    return ArtifactRow(key=entry.key, bytes=entry.bytes, verdict=verdict)


def _is_there(store: Store, key: str) -> bool:
    try:
        read_manifest(store, key)
    except MissingError:
        return False
    return True
