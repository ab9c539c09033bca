"""index.html: one file, no network; a section is one template, found by scanning."""

import base64
import hashlib
import math
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeVar

from cifar_dist.config import dump_yaml
from cifar_dist.documents import EpochRecord, TrainDocument, TuneDocument
from cifar_dist.report import evaluation, formats, tables, verdict
from cifar_dist.report.attempts import attempt_line, storage_line
from cifar_dist.report.cost import cpu_seconds, gpu_seconds
from cifar_dist.report.curves import charts
from cifar_dist.report.evidence import Evidence
from cifar_dist.report.guarded import guarded
from cifar_dist.report.mistakes import sheet
from cifar_dist.report.pictures import Picture
from cifar_dist.report.study import Study, study

if TYPE_CHECKING:
    from jinja2 import Environment

Kind = Literal["run", "sweep"]
T = TypeVar("T")

_TEMPLATES = Path(__file__).parent / "templates"
_NOTHING, _NONE = Evidence(), MappingProxyType[str, Picture]({})
_ROWS = 200  # longer tables are thinned or cut in the page; the CSV files have every row


def run_page(
    document: TrainDocument,
    evidence: Evidence = _NOTHING,
    pictures: Mapping[str, Picture] = _NONE,
) -> str:
    """Render a run's page."""
    return _render(document, verdict.run_verdict(document, formats.isolated), pictures, evidence)


def sweep_page(
    document: TuneDocument,
    pictures: Mapping[str, Picture] = _NONE,
    known: Study | None = None,
    evidence: Evidence = _NOTHING,
) -> str:
    """Render a sweep's page with its winner's evidence; what is `known` is not worked out again."""
    found = study(document) if known is None else known
    sentences = verdict.sweep_verdict(document, formats.isolated)
    return _render(document, sentences, pictures, evidence, found)


def sections(kind: Kind) -> dict[str, str]:
    """Name each section of a page, in order, with its template: `20_curves.html` is `curves`."""
    found = [path for folder in (kind, "shared") for path in (_TEMPLATES / folder).glob("*.html")]
    ordered = sorted(found, key=lambda path: path.name)
    return {
        path.stem.partition("_")[2]: path.relative_to(_TEMPLATES).as_posix() for path in ordered
    }


def environment() -> "Environment":
    """Give what every page is rendered with: it extends frame.html, which needs no network."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (_TEMPLATES / "page.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals |= {"script": script, "script_hash": f"sha256-{digest}"}
    for function in _FILTERS:
        environment.filters[function.__name__.removeprefix("_")] = function
    return environment


def _render(
    document: TrainDocument | TuneDocument,
    sentences: list[str],
    pictures: Mapping[str, Picture],
    evidence: Evidence,
    known: Study | None = None,
) -> str:
    templates = environment()
    kind: Kind = "run" if isinstance(document, TrainDocument) else "sweep"
    recipe, source = document.job.get("recipe", {}), formats.isolated(document.data.source)
    context = {
        "kind": kind,
        "name": document.run if isinstance(document, TrainDocument) else document.sweep,
        "document": document,
        "recipe": recipe,
        "origin": f"“{source}”, seed {recipe.get('seed', formats.DASH)}",
        "verdict": sentences,
        "curves": guarded("the learning curves", charts, document) or [],
        "evidence": evidence,
        "pictures": pictures,
        "study": known,
        "sheet": guarded("the images of the confusion matrix", sheet, document.test, evidence),
    }
    bodies = {
        name: templates.get_template(path).render(context) for name, path in sections(kind).items()
    }
    filled = {name: body for name, body in bodies.items() if body.strip()}
    titles = {name: _title(body) for name, body in filled.items()}
    return templates.get_template("page.html").render(context, bodies=filled, titles=titles)


def _title(body: str) -> str:
    found = re.search(r"<h2[^>]*>(.*?)</h2>", body)
    return found[1] if found else ""


def _thinned(history: list[EpochRecord], best: int) -> list[EpochRecord]:
    step = math.ceil(len(history) / _ROWS) or 1
    return [
        record
        for index, record in enumerate(history)
        if index % step == 0 or record.epoch == best or index == len(history) - 1
    ]


def _unbroken(text: str) -> str:
    joined = text.replace(" %", "\u00a0%").replace("± ", "±\u00a0")
    return re.sub(r"(?<=\d)–(?=\d)", "\u2060–\u2060", joined)


def _limited(rows: list[T]) -> list[T]:
    return rows[:_ROWS]


_FILTERS: tuple[Callable[..., object], ...] = (
    formats.percent,
    formats.decimal,
    formats.thousands,
    formats.counted,
    formats.duration,
    formats.points,
    formats.setting,
    formats.flattened,
    formats.isolated,
    evaluation.interval,
    evaluation.most_confused,
    verdict.ranked,
    tables.setting_names,
    shlex.quote,
    dump_yaml,
    attempt_line,
    storage_line,
    cpu_seconds,
    gpu_seconds,
    _thinned,
    _limited,
    _unbroken,
)
