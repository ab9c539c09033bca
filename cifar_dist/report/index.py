"""The page of a store: every run and sweep in one table that sorts."""

import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from cifar_dist.documents import IndexDocument, IndexRow
from cifar_dist.report.page import environment
from cifar_dist.report.summaries import index_cells


def index_page(document: IndexDocument, folder: Path, root: Path | None) -> str:
    """Render the page that will lie in `folder`; `root` is the store's, None for a bucket's.

    A bucket's page belongs at the store's top.
    """
    rows = [(row, index_cells(row), _link(row, folder, root)) for row in document.rows]
    template = environment().get_template("index/index.html")
    return template.render(
        document=document, rows=rows, counts=_counts(document.rows), in_bucket=root is None
    )


def _link(row: IndexRow, folder: Path, root: Path | None) -> str | None:
    if row.report is None or row.state == "damaged":
        return None
    if root is None:
        return quote(row.report)
    return quote(Path(os.path.relpath(root / row.report, folder)).as_posix())


def _counts(rows: Iterable[IndexRow]) -> dict[str, int]:
    counts = dict.fromkeys(("run", "sweep"), 0)
    for row in rows:
        counts[row.kind] += 1
    return counts
