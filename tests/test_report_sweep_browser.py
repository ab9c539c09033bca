"""A sweep's page in a real browser: quiet, closed, sortable, copied from, safe from settings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.documents import TuneDocument
from cifar_dist.report.confirmation import confirmation
from cifar_dist.report.files import write_sweep
from tests.browsers import Visit, chromium
from tests.result_documents import sweep_document, trial
from tests.sweep_reports import recorded_sweep

WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
VIEWS: dict[str, dict[str, Any]] = {
    "light": {"viewport": WIDE, "color_scheme": "light"},
    "dark": {"viewport": WIDE, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light"},
}
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)</script>'


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def document() -> TuneDocument:
    found = recorded_sweep(40)
    results = {n: [("r", 0.4 - n / 1000), ("r", 0.41 - n / 900)] for n in (found.best or 0, 7)}
    return found.model_copy(update={"confirmed": confirmation([1, 2], results)})


@pytest.fixture(scope="module")
def report(document: TuneDocument, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sweep(document, tmp_path_factory.mktemp("sweep"))["index.html"]


@pytest.mark.parametrize("view", VIEWS)
def test_a_sweeps_page_is_quiet_fits_its_window_and_has_no_serious_barrier(
    browser: Any, report: Path, tmp_path: Path, view: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    visit = Visit(browser, report, **VIEWS[view])
    visit.page.screenshot(path=tmp_path / f"{view}.png", full_page=True)
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not visit.complaints
    found = axe.Axe().run(visit.page).response["violations"]
    serious = {
        rule["id"]: [node["target"] for node in rule["nodes"]]
        for rule in found
        if rule["impact"] in {"serious", "critical"}
    }
    assert not serious
    visit.context.close()


def test_trials_sort_by_any_column_and_the_command_can_be_copied(
    browser: Any, report: Path, document: TuneDocument
) -> None:
    visit = Visit(browser, report, viewport=WIDE, permissions=["clipboard-read", "clipboard-write"])
    page = visit.page
    page.locator("#trials th", has_text="Epochs").locator("button").click()
    epochs = [
        int(row.locator("td").nth(3).inner_text()) for row in page.locator("#trials tbody tr").all()
    ]
    assert epochs == sorted((row.epochs for row in document.trials), reverse=True)
    page.locator("#best button").first.click()
    page.locator("#best button", has_text="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"cifar-dist train best.yaml --store {document.store}"
    assert not visit.complaints
    visit.context.close()


def test_settings_that_are_markup_do_nothing(browser: Any, tmp_path: Path) -> None:
    trials = [trial(n, "finished", 4, parameters={f"recipe.{HOSTILE}": HOSTILE}) for n in range(2)]
    path = write_sweep(sweep_document(trials=trials, sweep=HOSTILE), tmp_path)["index.html"]
    visit = Visit(browser, path, viewport=WIDE)
    assert visit.page.locator("h1").inner_text() == HOSTILE
    assert visit.page.evaluate("document.querySelectorAll('img, main script').length") == 0
    assert HOSTILE in visit.page.locator("#best").inner_text()
    assert not visit.complaints
    visit.context.close()
