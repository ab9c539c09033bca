"""Verified copies of what a store holds: whole files only, and those already there are kept."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from cifar_dist.documents import ArtifactRow
from cifar_dist.errors import DamagedError, RefusedError
from cifar_dist.runs.dossier import RESULT
from cifar_dist.runs.inventory import LATEST, locate, winner
from cifar_dist.runs.manifest import NAME, Manifest, described
from cifar_dist.runs.pins import unknown
from cifar_dist.runs.run import BEST, Run
from cifar_dist.runs.seal import read_sealed, sealed
from cifar_dist.runs.sweep import Sweep
from cifar_dist.store import Content, Store, open_store, safe_join
from cifar_dist.store.disk import chunks, copy, reported, save

WINNER = "winner"
"""The folder of a fetched sweep with the documents of its winner's retraining."""


@dataclass(frozen=True)
class _Wanted:
    """One file of a copy: an object of the store, or bytes that were made here."""

    content: Content
    key: str | None = None
    data: bytes = b""


@dataclass
class _Delivery:
    """Puts files into a folder, and knows which of them it put there."""

    store: Store
    folder: Path
    force: bool = False
    placed: set[str] = field(default_factory=set)

    def bring(self, wanted: dict[str, _Wanted]) -> list[ArtifactRow]:
        """Fetch what is not there yet. Raises RefusedError before anything is changed."""
        missing = [name for name, item in wanted.items() if not self._has(name, item.content)]
        for name in missing:
            self._place(name, wanted[name])
        for name in self.placed - wanted.keys():  # of a checkpoint that could not be had whole
            safe_join(self.folder, name).unlink(missing_ok=True)
        return [
            ArtifactRow(key=name, verdict="intact", **wanted[name].content._asdict())
            for name in sorted(wanted)
        ]

    def _has(self, name: str, content: Content) -> bool:
        path = safe_join(self.folder, name)
        with reported(str(path)):
            if not path.exists():
                return False
            if path.is_file() and copy(chunks(path), len, content.bytes) == content:
                return True
        if path.is_dir() or not (self.force or name in self.placed):
            raise RefusedError(
                f"{path} exists with other content and is not overwritten; move it away, name "
                "another folder, or replace files by --force"
            )
        return False

    def _place(self, name: str, item: _Wanted) -> None:
        path = safe_join(self.folder, name)
        with reported(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            if item.key is None:
                save(path, [item.data], item.content, name)
            else:
                self.store.download(item.key, path, item.content)
        self.placed.add(name)


def fetch(
    store: Store, name: str, folder: Path, which: str = BEST, *, force: bool = False
) -> list[ArtifactRow]:
    """Copy a run's (or a sweep's winner's) checkpoint, documents and report, verified.

    Those of the run that a sweep's winner was retrained by, whose recipe is its own, go to
    `winner/`. `which` is 'latest' or the name of a pin. Rows are named relative to `folder`. What
    lies there whole is not fetched again. A file with other content is replaced by `force`, else
    RefusedError is raised and nothing is changed.
    """
    found = locate(store, name)
    report = found.report()
    further = _folder(report, "report/") if report else {}
    return _bring_model(found, which, _Delivery(store, folder, force), further)


def fetch_model(store: Store, name: str, folder: Path) -> None:
    """Copy the best checkpoint and the documents into a new folder, as `fetch`; no report."""
    _bring_model(locate(store, name), BEST, _Delivery(store, folder), {})


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
    return _Delivery(store, folder).bring(_folder(report))


def copy_verified(folder: Path, name: str, target: Path) -> None:
    """Copy one file of a checkpoint that `fetch` brought, verified by the manifest beside it."""
    if not (folder / NAME).is_file():
        raise RefusedError(
            f"{folder} has no {NAME}, so {name} cannot be verified; fetch it again with "
            "`cifar-dist artifacts get`"
        )
    store = open_store(str(folder))
    files = described(read_sealed(store, NAME), f"{NAME} in {folder}")
    if name not in files:
        raise DamagedError(f"{NAME} in {folder} does not name {name}; fetch it again")
    store.download(name, target, files[name])


def _bring_model(
    found: Run | Sweep, which: str, delivery: _Delivery, further: dict[str, _Wanted]
) -> list[ArtifactRow]:
    run, rows = winner(found), list[ArtifactRow]()
    documents = _documents(found)
    if isinstance(found, Sweep) and is_retrained(run.prefix):
        documents |= _documents(run, f"{WINNER}/")

    def take(manifest: Manifest) -> None:
        # Last what makes the folder a checkpoint: without it nothing is loaded from there.
        proof = {NAME: _made(sealed(read_sealed(run.store, manifest.key)))}
        rows[:] = delivery.bring({**_folder(manifest), **further, **documents, **proof})

    taken = run.newest_intact(take) if which == LATEST else run.take_pinned(which, take)
    if taken is None and which not in (BEST, LATEST):
        raise unknown(run, which)
    if taken is None:
        raise RefusedError(f"{run.prefix} has no checkpoint yet; wait for its first epoch")
    return rows


def _folder(manifest: Manifest, below: str = "") -> dict[str, _Wanted]:
    return {
        f"{below}{name}": _Wanted(content, f"{manifest.folder}/{name}")
        for name, content in manifest.files.items()
    }


def _documents(found: Run | Sweep, below: str = "") -> dict[str, _Wanted]:
    documents = {found.HEAD: found.document, RESULT: found.result}
    return {
        f"{below}{name}": _made((json.dumps(document, indent=2) + "\n").encode())
        for name, document in documents.items()
        if document is not None
    }


def _made(data: bytes) -> _Wanted:
    return _Wanted(Content(len(data), hashlib.sha256(data).hexdigest()), data=data)
