"""A real browser that opens pages from disk, and notes what they do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a headless browser; skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A page opened once; what a page must not do is in `complaints`."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.complaints: list[str] = []
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self._complain("console", message.text))
        self.page.on("pageerror", lambda error: self._complain("error", error))
        self.page.on("dialog", self._dismiss)
        self.page.on("request", self._requested)
        self.address = path.resolve().as_uri()
        self.page.goto(self.address)

    def _complain(self, what: str, detail: object) -> None:
        self.complaints.append(f"{what}: {detail}")

    def _dismiss(self, dialog: Any) -> None:
        self._complain("dialog", dialog.message)
        dialog.dismiss()

    def _requested(self, request: Any) -> None:
        if not request.url.startswith("data:") and request.url != self.address:
            self._complain("request", request.url)
