"""What the tests of endurance measured: a JSON line for each."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.soak import LONG

REPORT = "CIFAR_DIST_SOAK_REPORT"
"""Names a folder for the lines; without it they are shown, in the long rounds."""


@pytest.fixture
def figures(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Iterator[dict[str, Any]]:
    """Collect a test's figures, whether or not it passes."""
    found: dict[str, Any] = {}
    started = time.monotonic()
    yield found
    seconds = round(time.monotonic() - started, 1)
    line = json.dumps({"name": request.node.name, "long": LONG, **found, "seconds": seconds})
    if folder := os.environ.get(REPORT):
        with (Path(folder) / "soak.jsonl").open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
    elif LONG:
        with capsys.disabled():
            sys.stdout.write(f"\n{line}\n")
