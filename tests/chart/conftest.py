"""What the chart's tests share: every render of it, made once, and the tools they need."""

from pathlib import Path
from typing import Any

import pytest

from tests.chart.renders import Case, Object, all_cases, needed, objects, render_all

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder, and only those."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.chart)


@pytest.fixture(scope="session", autouse=True)
def _helm() -> None:
    needed("helm")


@pytest.fixture(scope="session")
def renders(_helm: None) -> dict[Case, str]:
    """Render the chart in all ways."""
    return render_all(all_cases())


@pytest.fixture(scope="session")
def things(renders: dict[Case, str]) -> list[tuple[Case, Object]]:
    """Give every distinct object of all renders once, with the first way that gave it."""
    first: dict[int, tuple[Case, Any]] = {}
    for case, text in renders.items():
        for thing in objects(text):
            first.setdefault(id(thing), (case, thing))  # equal texts are one object
    return list(first.values())
