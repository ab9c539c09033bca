"""Everything in a store, read for a page that lists it."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import ValidationError

from cifar_dist.documents import IndexDocument, IndexRow, TrainDocument, TuneDocument
from cifar_dist.errors import DamagedError
from cifar_dist.report.index import index_page
from cifar_dist.runs import Run, Sweep
from cifar_dist.runs.identity import is_identity
from cifar_dist.runs.manifest import NAME
from cifar_dist.store import MissingError, Store
from cifar_dist.store.addresses import local_folder, scheme
from cifar_dist.store.disk import reported

_Kind = Literal["run", "sweep"]
_KINDS: dict[_Kind, type[Run] | type[Sweep]] = {"run": Run, "sweep": Sweep}
_READERS = 16  # requests at once, as each waits for the storage
_REPORT = re.compile(rf"report/\d{{6}}/{re.escape(NAME)}")


@dataclass(frozen=True)
class _Listed:
    """One run or sweep as a listing shows it."""

    id: str
    kind: _Kind
    began: datetime
    report: str | None = None


def index(store: Store) -> IndexDocument:
    """List every run and sweep, newest first; what cannot be read is shown as damaged."""
    found = [entry for kind in get_args(_Kind) for entry in _listed(store, kind)]
    with ThreadPoolExecutor(_READERS) as pool:
        rows = list(pool.map(lambda entry: _row(store, entry), found))
    rows.sort(key=lambda row: row.id)
    rows.sort(key=lambda row: row.began, reverse=True)
    return IndexDocument(store=store.uri, rows=rows)


def save_page(document: IndexDocument, path: Path) -> None:
    """Write the page of an index; of a folder its links are relative to where it lies."""
    root = None
    if scheme(document.store) == "file":
        root = local_folder(document.store).absolute()
    with reported(str(path)):
        path.write_text(index_page(document, path.absolute().parent, root), "utf-8")


def _listed(store: Store, kind: _Kind) -> Iterator[_Listed]:
    head, found = _KINDS[kind].HEAD, dict[str, _Listed]()
    for entry in store.entries(f"{kind}s"):
        name, _, rest = entry.key.partition("/")[2].partition("/")
        if not rest or not is_identity(name):
            continue  # somebody else's
        row = found.setdefault(name, _Listed(name, kind, entry.modified))
        if rest == head:
            row = replace(row, began=entry.modified)
        elif _REPORT.fullmatch(rest):
            # In key order the newest comes last.
            row = replace(row, report=f"{entry.key.removesuffix(NAME)}index.html")
        found[name] = row
    yield from found.values()


def _row(store: Store, entry: _Listed) -> IndexRow:
    facts: dict[str, Any] = {
        "id": entry.id,
        "kind": entry.kind,
        "began": f"{entry.began:%Y-%m-%dT%H:%M:%SZ}",
        "report": entry.report,
    }
    dossier = _KINDS[entry.kind](store, f"{entry.kind}s/{entry.id}")
    try:
        return IndexRow(**facts, **_known(dossier))
    except (MissingError, DamagedError) as error:
        reason = str(error)
    except (ValidationError, KeyError, TypeError, AttributeError):
        reason = "its documents are not those of this program"
    return IndexRow(**facts, state="damaged", reason=reason)


def _known(dossier: Run | Sweep) -> dict[str, Any]:
    result = dossier.finished
    if result is None:
        head = dossier.document
        job = head["job"] if isinstance(dossier, Run) else head["space"]["job"]
        return {"state": "unfinished", **_recipe(job)}
    if isinstance(dossier, Run):
        return _run(TrainDocument.model_validate(result))
    return _sweep(TuneDocument.model_validate(result))


def _run(document: TrainDocument) -> dict[str, Any]:
    return {
        **_recipe(document.job),
        "state": "failed" if document.state == "failed" else "finished",
        "data": document.data.source,
        "epochs": len(document.history),
        "validation_accuracy": document.validation.accuracy if document.validation else None,
        "test_accuracy": document.test.score.accuracy if document.test else None,
        # The total is that of the last attempt alone.
        "seconds": max(document.total_seconds, document.train_seconds),
    }


def _sweep(document: TuneDocument) -> dict[str, Any]:
    return {
        **_recipe(document.best_job or document.job),
        "state": "failed" if document.best is None else "finished",
        "data": document.data.source,
        "epochs": document.cost.epochs_run,
        "trials": len(document.trials),
        "best_trial": document.best,
        "validation_accuracy": document.validation.accuracy if document.validation else None,
        "test_accuracy": document.test.score.accuracy if document.test else None,
        "seconds": document.cost.wall_seconds,
    }


def _recipe(job: dict[str, Any]) -> dict[str, Any]:
    recipe = job["recipe"]
    return {"model": recipe["model"]["name"], "data": recipe["data"]}
