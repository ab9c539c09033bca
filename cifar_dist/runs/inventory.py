"""What a store holds, for people: lists, verdicts and verified copies."""

import filecmp
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cifar_dist.documents import ArtifactRow
from cifar_dist.errors import ConfigError, DamagedError, RefusedError
from cifar_dist.problems import nearest, shown
from cifar_dist.runs.dossier import RESULT, Dossier
from cifar_dist.runs.identity import is_identity
from cifar_dist.runs.manifest import NAME, Manifest, read_manifest
from cifar_dist.runs.run import BEST, Run
from cifar_dist.runs.seal import read_sealed, sealed
from cifar_dist.runs.sweep import Sweep
from cifar_dist.store import Content, MissingError, Store, open_store
from cifar_dist.store.disk import chunks, copy, reported

WINNER = "winner"
"""The folder of a fetched sweep with the documents of its winner's retraining."""
_KINDS: dict[str, type[Run] | type[Sweep]] = {"runs": Run, "sweeps": Sweep}


@dataclass(frozen=True)
class RunRow:
    """One run or sweep of a store."""

    id: str
    kind: Literal["runs", "sweeps"]
    state: Literal["finished", "unfinished", "damaged"]
    bytes: int


def list_runs(store: Store) -> list[RunRow]:
    """List the runs and the sweeps of a store by id, with the bytes of all their objects."""
    rows = []
    for kind in ("runs", "sweeps"):
        sizes: Counter[str] = Counter()
        for entry in store.entries(kind):
            sizes[entry.key.split("/")[1]] += entry.bytes
        for name in sorted(filter(is_identity, sizes)):
            dossier = _KINDS[kind](store, f"{kind}/{name}")
            rows.append(RunRow(name, kind, _state(dossier), sizes[name]))
    return rows


def locate(store: Store, name: str) -> Run | Sweep:
    """Find a run or sweep by its id. Raises ConfigError that names the nearest one."""
    if is_identity(name):
        for kind, build in _KINDS.items():
            if (found := build(store, f"{kind}/{name}")).exists:
                return found
    known = [folder for kind in _KINDS for folder in store.folders(kind)]
    hint = nearest(name, known) if known else "the store is empty; name another with --store"
    raise ConfigError(f"there is no run or sweep {shown(name)} in {store.uri}; {hint}")


def artifacts(store: Store, name: str) -> list[ArtifactRow]:
    """List every object of a run or sweep, with the SHA-256 that its manifest records."""
    prefix = locate(store, name).prefix
    recorded = dict(_recorded(store, prefix))
    return [
        ArtifactRow(key=entry.key, bytes=entry.bytes, sha256=recorded.get(entry.key))
        for entry in store.entries(prefix)
    ]


def verify(store: Store, name: str) -> list[ArtifactRow]:
    """Read everything that a manifest promises; each row's verdict: intact, damaged or missing."""
    prefix = locate(store, name).prefix
    rows: list[ArtifactRow] = []
    for key in _manifests(store, prefix):
        try:
            manifest = read_manifest(store, key)
        except DamagedError:
            rows.append(ArtifactRow(key=key, bytes=store.digest(key).bytes, verdict="damaged"))
        else:
            rows += [_judged(store, file, content) for file, content in _files(manifest)]
    return rows


def fetch(store: Store, name: str, folder: Path, which: str = BEST) -> list[ArtifactRow]:
    """Copy a run's (or a sweep's winner's) checkpoint, documents and report, verified.

    Those of the run that a sweep's winner was retrained by, whose recipe is its own, go to
    `winner/`. `which` is 'latest' or the name of a pin. Rows are named relative to `folder`. Raises
    RefusedError if a file with other content is in the way; nothing is changed then.
    """
    found = locate(store, name)
    with _staged(folder) as staged:
        _model(found, which, staged)
        if report := found.report():
            report.download(store, staged / "report")
        return _install(staged, folder)


def fetch_model(store: Store, name: str, folder: Path) -> None:
    """Copy the best checkpoint and the documents into a new folder, as `fetch`; no report."""
    _model(locate(store, name), BEST, folder)


def is_retrained(winner_run: str) -> bool:
    """Tell a sweep's retrained winner, by its prefix, from one of its trials."""
    return winner_run.startswith("runs/")


def fetch_report(store: Store, name: str, folder: Path) -> list[ArtifactRow]:
    """Copy the newest report of a run or sweep, verified; refuses and names rows as `fetch`."""
    found = locate(store, name)
    report = found.report()
    if report is None:
        raise RefusedError(
            f"{found.prefix} has no report yet; go on with `cifar-dist resume {name}`"
        )
    with _staged(folder) as staged:
        report.download(store, staged)
        return _install(staged, folder)


def copy_verified(folder: Path, name: str, target: Path) -> None:
    """Copy one file of a checkpoint that `fetch` brought, verified by the manifest beside it."""
    if not (folder / NAME).is_file():
        raise RefusedError(
            f"{folder} has no {NAME}, so {name} cannot be verified; fetch it again with "
            "`cifar-dist artifacts get`"
        )
    store = open_store(str(folder))
    store.download(name, target, Content(**read_sealed(store, NAME)["files"][name]))


def _state(dossier: Dossier) -> Literal["finished", "unfinished", "damaged"]:
    try:
        return "finished" if dossier.finished else "unfinished"
    except DamagedError:
        return "damaged"


def _manifests(store: Store, prefix: str) -> list[str]:
    return [entry.key for entry in store.entries(prefix) if entry.key.endswith(f"/{NAME}")]


def _files(manifest: Manifest) -> Iterator[tuple[str, Content]]:
    for name, content in manifest.files.items():
        yield f"{manifest.folder}/{name}", content


def _recorded(store: Store, prefix: str) -> Iterator[tuple[str, str]]:
    for key in _manifests(store, prefix):
        with suppress(DamagedError):
            for file, content in _files(read_manifest(store, key)):
                yield file, content.sha256


def _judged(store: Store, key: str, expected: Content) -> ArtifactRow:
    try:
        verdict = "intact" if store.holds(key, expected) else "damaged"
    except MissingError:
        verdict = "missing"
    return ArtifactRow(key=key, bytes=expected.bytes, sha256=expected.sha256, verdict=verdict)


@contextmanager
def _staged(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside another, for what is moved there once it is whole."""
    with reported(str(folder)):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as staged:
            yield Path(staged)


def _model(found: Run | Sweep, which: str, folder: Path) -> None:
    _checkpoint(found, which, folder)
    _documents(found, folder)
    if isinstance(found, Sweep) and is_retrained(winner := _winner(found).prefix):
        _documents(Run(found.store, winner), folder / WINNER)


def _checkpoint(found: Run | Sweep, which: str, folder: Path) -> None:
    run = found if isinstance(found, Run) else _winner(found)
    if which == "latest":
        manifest = run.latest_intact(folder)
    elif manifest := run.pinned(which):
        run.download(manifest, folder)
    if manifest is None:
        raise RefusedError(
            f"{run.prefix} has no checkpoint '{which}' yet; wait for its first epoch, or ask for "
            f"'{BEST}' or 'latest'"
        )
    (folder / NAME).write_bytes(sealed(read_sealed(found.store, manifest.key)))


def _winner(sweep: Sweep) -> Run:
    prefix = (sweep.result or {}).get("winner_run")
    if not prefix:
        raise RefusedError(
            f"{sweep.prefix} has no winner: it is unfinished or all its trials failed; resume it"
        )
    return Run(sweep.store, prefix)


def _documents(found: Run | Sweep, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    documents = {found.HEAD: found.document, RESULT: found.result}
    for name, document in documents.items():
        if document is not None:
            (folder / name).write_text(json.dumps(document, indent=2) + "\n")


def _install(staged: Path, folder: Path) -> list[ArtifactRow]:
    names = sorted(path.relative_to(staged) for path in staged.rglob("*") if path.is_file())
    for name in names:
        target = folder / name
        if target.exists() and not filecmp.cmp(staged / name, target, shallow=False):
            raise RefusedError(
                f"{target} exists with other content and is not overwritten; move it away or name "
                "another folder"
            )
    return [_moved(staged, folder, name) for name in names]


def _moved(staged: Path, folder: Path, name: Path) -> ArtifactRow:
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    (staged / name).replace(target)
    content = copy(chunks(target), len)
    return ArtifactRow(
        key=name.as_posix(), bytes=content.bytes, sha256=content.sha256, verdict="intact"
    )


def best_files(store: Store, name: str) -> list[ArtifactRow]:
    """List the files of the best checkpoint of a run, or of a sweep's winner."""
    found = locate(store, name)
    run = found if isinstance(found, Run) else _winner(found)
    manifest = run.best()
    if manifest is None:
        raise RefusedError(f"{run.prefix} has no best checkpoint yet; wait for its first epoch")
    return [
        ArtifactRow(key=key, bytes=content.bytes, sha256=content.sha256)
        for key, content in _files(manifest)
    ]
