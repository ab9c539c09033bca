"""The table of the S3 contract says for each server which promises it kept."""

from collections import defaultdict
from typing import Any

import pytest

from tests import s3_report


class Terminal:
    """Takes lines as pytest's own reporter does."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.line = self.lines.append

    def section(self, title: str, sep: str) -> None:
        """Take a headline."""
        self.line(title)


def report(case: str, outcome: Any, **more: Any) -> pytest.TestReport:
    nodeid = f"tests/test_a.py::test_it_holds[{case}]"
    named: dict[str, Any] = {"keywords": {}, "longrepr": None, "duration": 0.25} | more
    return pytest.TestReport(nodeid, ("", 0, ""), outcome=outcome, when="call", **named)


def test_each_promise_is_one_line_and_its_worst_end_is_what_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(s3_report, "REAL", ["versitygw", "radosgw"])
    monkeypatch.setattr(s3_report, "_calls", defaultdict(list))
    monkeypatch.setattr(s3_report, "_notes", {})
    s3_report.pytest_runtest_logreport(report("versitygw-put", "passed"))
    s3_report.pytest_runtest_logreport(report("versitygw-get", "failed"))
    s3_report.pytest_runtest_logreport(report("radosgw-put", "skipped", wasxfail="it is old"))
    s3_report.pytest_runtest_logreport(report("moto-put", "failed"))
    terminal: Any = Terminal()
    s3_report.pytest_terminal_summary(terminal)
    row = next(line for line in terminal.lines if "it holds" in line)
    assert " ".join(row.split()) == "it holds failed 1/2 0.5 s not kept 0.2 s"
    assert "versitygw: 1 failed, 1 passed in 0 s" in terminal.lines
    assert terminal.lines[-1] == "radosgw does not keep it: it is old"


def test_without_real_servers_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_report, "_calls", {})
    terminal: Any = Terminal()
    s3_report.pytest_terminal_summary(terminal)
    assert terminal.lines == []
