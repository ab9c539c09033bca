"""index.html: one file, no network; a section is one template, found by scanning."""

import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from cifar_dist.config import dump_yaml
from cifar_dist.documents import EpochRecord, TrainDocument, TuneDocument
from cifar_dist.report import evaluation, formats, tables, verdict
from cifar_dist.report.attempts import attempt_line, storage_line
from cifar_dist.report.curves import inline_curves
from cifar_dist.report.rungs import rungs

if TYPE_CHECKING:
    from jinja2 import Environment

Kind = Literal["run", "sweep"]
T = TypeVar("T")

_TEMPLATES = Path(__file__).parent / "templates"
_ROWS = 200  # longer tables are thinned or cut in the page; the CSV files have every row


def run_page(document: TrainDocument) -> str:
    """Render a run's page."""
    return _render("run", document, verdict.run_verdict(document))


def sweep_page(document: TuneDocument) -> str:
    """Render a sweep's page."""
    return _render("sweep", document, verdict.sweep_verdict(document))


def sections(kind: Kind) -> dict[str, str]:
    """Name each section of a page, in order, with its template: `20_curves.html` is `curves`."""
    found = [path for folder in (kind, "shared") for path in (_TEMPLATES / folder).glob("*.html")]
    ordered = sorted(found, key=lambda path: path.name)
    return {
        path.stem.partition("_")[2]: path.relative_to(_TEMPLATES).as_posix() for path in ordered
    }


def _render(kind: Kind, document: TrainDocument | TuneDocument, sentences: list[str]) -> str:
    return (
        _environment()
        .get_template("page.html")
        .render(
            kind=kind,
            name=document.run if isinstance(document, TrainDocument) else document.sweep,
            document=document,
            recipe=document.job.get("recipe", {}),
            verdict=sentences,
            sections=sections(kind),
            curves=inline_curves(document),
        )
    )


def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (
        formats.percent,
        formats.decimal,
        formats.thousands,
        formats.counted,
        formats.duration,
        formats.setting,
        formats.flattened,
        evaluation.interval,
        verdict.ranked,
        tables.setting_names,
        shlex.quote,
        dump_yaml,
        rungs,
        attempt_line,
        storage_line,
        _thinned,
        _limited,
        _unbroken,
    ):
        environment.filters[function.__name__.removeprefix("_")] = function
    return environment


def _thinned(history: list[EpochRecord], best: int) -> list[EpochRecord]:
    step = math.ceil(len(history) / _ROWS) or 1
    return [
        record
        for index, record in enumerate(history)
        if index % step == 0 or record.epoch == best or index == len(history) - 1
    ]


def _unbroken(text: str) -> str:
    return text.replace(" %", "\u00a0%").replace("± ", "±\u00a0")


def _limited(rows: list[T]) -> list[T]:
    return rows[:_ROWS]
