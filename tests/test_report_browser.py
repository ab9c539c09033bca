"""A run's page in a real browser: quiet, closed, usable by keyboard, and safe from its names."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.documents import TrainDocument
from cifar_dist.report.files import write_run
from cifar_dist.report.overfitting import overfitting
from tests.browsers import Visit, chromium
from tests.evidences import NAMES, evidenced_run, rich_evidence

WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
VIEWS: dict[str, dict[str, Any]] = {
    "light": {"viewport": WIDE, "color_scheme": "light"},
    "dark": {"viewport": WIDE, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light"},
}
HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\u202egnp.exe", "$x_1$"]
CAT, DOG = 3, 5


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    evidence = rich_evidence()
    document = evidenced_run(evidence)
    judged = overfitting(document.history, document.best_epoch)
    folder = tmp_path_factory.mktemp("report")
    document = document.model_copy(update={"overfitting": judged})
    return write_run(document, folder, evidence)["index.html"]


@contextmanager
def visit(browser: Any, path: Path, **options: Any) -> Iterator[Any]:
    """Open a page, and see that it did nothing that it must not."""
    opened = Visit(browser, path, **options)
    yield opened.page
    opened.context.close()
    assert not opened.complaints


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_is_quiet_asks_for_nothing_and_fits_its_window(
    browser: Any, report: Path, tmp_path: Path, view: str
) -> None:
    with visit(browser, report, **VIEWS[view]) as page:
        page.screenshot(path=tmp_path / f"{view}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.locator("section").count() == page.locator("nav a").count() >= 9


def test_a_page_prints_without_what_only_a_screen_can_use(
    browser: Any, report: Path, tmp_path: Path
) -> None:
    with visit(browser, report, viewport=WIDE) as page:
        page.emulate_media(media="print", color_scheme="dark")
        page.screenshot(path=tmp_path / "print.png", full_page=True)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)"
        )
        assert not page.locator("nav").is_visible()


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_has_no_serious_barrier(browser: Any, report: Path, view: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    with visit(browser, report, **VIEWS[view]) as page:
        found = axe.Axe().run(page).response["violations"]
    serious = {
        rule["id"]: [node["target"] for node in rule["nodes"]]
        for rule in found
        if rule["impact"] in {"serious", "critical"}
    }
    assert not serious


def test_a_table_sorts_by_any_column_and_keeps_its_total_last(browser: Any, report: Path) -> None:
    with visit(browser, report) as page:
        header = page.locator("#classes th", has_text="Recall")
        for order in ("descending", "ascending"):
            header.locator("button").click()
            assert header.get_attribute("aria-sort") == order
            shown = [float(text) for text in page.locator("#classes td.bar").all_inner_texts()]
            assert shown == sorted(shown, reverse=order == "descending")
        assert page.locator("#classes tr").last.inner_text().startswith("macro")


def test_a_column_is_sorted_by_what_its_texts_mean(browser: Any, report: Path) -> None:
    rising = [
        ["0.5 s", "59.9 s", "1 min 02 s", "2 h 00 min"],
        ["999 B", "1.5 kB", "3.0 MB"],
        ["−3", "1e-4", "7 (kept)", "51.25 %", "12,345"],
    ]
    with visit(browser, report) as page:
        for texts in rising:
            assert all(page.evaluate("texts => texts.map((text) => NUMBER.test(text))", texts))
            amounts = page.evaluate("texts => texts.map(amount)", texts)
            assert amounts == sorted(amounts)
        assert not page.evaluate("NUMBER.test('2026-11-21')")


def test_a_cell_of_the_confusion_matrix_shows_its_images(browser: Any, report: Path) -> None:
    with visit(browser, report) as page:
        cell = page.locator(f"td[data-cell='{CAT}-{CAT ^ 1}'] button")
        label = cell.get_attribute("aria-label")
        assert label.startswith("\u2068cat\u2069 taken for \u2068bird\u2069: ")
        cell.click()
        dialog = page.locator("dialog[open]")
        assert dialog.locator("h3").inner_text() == label
        assert dialog.locator("canvas").count() == min(6, int(cell.inner_text()))
        painted = "canvas => canvas.getContext('2d').getImageData(9, 9, 1, 1).data[3]"
        assert dialog.locator("canvas").first.evaluate(painted) == 255


def test_a_keyboard_opens_and_closes_a_cell(browser: Any, report: Path) -> None:
    with visit(browser, report) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.locator(f"td[data-cell='{DOG}-{DOG - 1}'] button").focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.locator("dialog[open]").count() == 1
        page.keyboard.press("Escape")
        assert page.locator("dialog[open]").count() == 0
        label = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert label.startswith("\u2068dog\u2069 taken for \u2068deer\u2069")


def test_a_curve_tells_the_values_under_the_pointer(browser: Any, report: Path) -> None:
    with visit(browser, report) as page:
        chart = page.locator("figure.chart").last
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.98, box["y"] + box["height"] / 2)
        epoch, *curves = chart.locator(".values").inner_text().splitlines()
        row = page.locator("#epochs tbody tr").last.inner_text()
        assert epoch == "Epoch 12"
        assert [line.split()[0] for line in curves] == ["training", "validation"]
        assert all(line.partition(" ")[2] in row for line in curves)


def test_without_scripts_a_page_still_shows_everything(browser: Any, report: Path) -> None:
    with visit(browser, report, java_script_enabled=False) as page:
        for link in page.locator("nav a").all():
            section = page.locator(f"section{link.get_attribute('href')}")
            assert section.inner_text().strip()
        assert page.locator("table.matrix td").count() == len(NAMES) ** 2
        assert page.locator(".scripted").is_hidden()


def hardest_class(document: TrainDocument) -> int:
    assert document.test is not None
    recalls = [row.recall for row in document.test.per_class]
    return recalls.index(min(recalls))


def test_hostile_names_are_shown_as_they_are(browser: Any, tmp_path: Path) -> None:
    job = {"recipe": {"model": {"name": HOSTILE[1]}, "seed": HOSTILE[0], "note": HOSTILE[2]}}
    names = [*HOSTILE, *NAMES[len(HOSTILE) :]]
    hardest = hardest_class(evidenced_run(rich_evidence(names), names=names))
    names[2], names[hardest] = names[hardest], names[2]
    evidence = rich_evidence(names)
    document = evidenced_run(evidence, names=names, run=HOSTILE[0], store=HOSTILE[1], job=job)
    written = write_run(document, tmp_path, evidence)
    assert "The hardest class is ?gnp.exe: " in written["results.txt"].read_text("utf-8")
    path = written["index.html"]
    with visit(browser, path) as page:
        assert page.locator("h1").inner_text() == HOSTILE[0]
        assert page.locator("#classes tbody th").all_inner_texts() == names
        page.locator("td[data-cell='1-0'] button").click()
        title = page.locator("dialog h3").inner_text()
        assert title.startswith(f"\u2068{names[1]}\u2069 taken for \u2068{names[0]}\u2069: ")
        verdict = page.locator(".verdict").text_content()
        assert f"The hardest class is \u2068{HOSTILE[2]}\u2069: " in verdict
        assert page.evaluate("document.querySelectorAll('img[onerror], h1 script').length") == 0
