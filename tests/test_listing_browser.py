"""The pages of an index and of a comparison in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.documents import IndexDocument, IndexRow
from cifar_dist.report.comparison import Contender, comparison, run_column
from cifar_dist.report.comparison_page import comparison_page
from cifar_dist.report.index import index_page
from tests.browsers import Visit, chromium
from tests.kept_runs import predicted
from tests.result_documents import run_document

HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\u202egnp.exe"]
PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


def row(number: int) -> IndexRow:
    return IndexRow(
        id=f"a-0000000{number}",
        kind="run",
        state="damaged" if number == 2 else "finished",
        reason=HOSTILE[0] if number == 2 else None,
        model=HOSTILE[number],
        data=HOSTILE[1],
        epochs=3 * number,
        test_accuracy=[0.5, 0.9, None][number],
        seconds=[90.0, 5.0, None][number],
        began=f"2026-01-0{number + 1}T10:00:00Z",
        report=f"runs/a-0000000{number}/report/000001/index.html",
    )


def index_file(folder: Path) -> str:
    """Write an index of three runs, one of them damaged."""
    document = IndexDocument(store=HOSTILE[1], rows=[row(number) for number in range(3)])
    return index_page(document, folder, folder)


def comparison_file(folder: Path) -> str:
    """Write a comparison of three runs with hostile names."""
    runs = [
        Contender(
            run_column(run_document(run=name)),
            {"model": {"name": name}, name: 1},
            {"test": predicted([True] * 30 + [False] * 10 * number)},
        )
        for number, name in enumerate(HOSTILE)
    ]
    return comparison_page(comparison(HOSTILE[0], runs))


@pytest.mark.parametrize("make", [index_file, comparison_file])
def test_a_page_is_quiet_fits_a_phone_and_has_no_serious_barrier(
    make: Any, browser: Any, tmp_path: Path
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    (tmp_path / "page.html").write_text(make(tmp_path), "utf-8")
    visit = Visit(browser, tmp_path / "page.html", **PHONE)
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert HOSTILE[0] in visit.page.inner_text("body")
    found = axe.Axe().run(visit.page).response["violations"]
    visit.context.close()
    assert not [rule["id"] for rule in found if rule["impact"] in {"serious", "critical"}]
    assert not visit.complaints


def test_an_index_sorts_by_accuracy_and_by_time(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(index_file(tmp_path), "utf-8")
    visit = Visit(browser, tmp_path / "page.html")
    for column, order in (("Test", "102"), ("Time", "012"), ("Began", "012")):
        visit.page.locator("th", has_text=column).locator("button").click()
        ids = visit.page.locator("#list tbody th").all_inner_texts()
        assert [name[-1] for name in ids] == list(order), column
    visit.context.close()
    assert not visit.complaints
