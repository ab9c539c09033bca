"""What each real S3 server keeps of each promise, as a table for a person; hooks of conftest."""

from collections import Counter, defaultdict

import pytest

from tests.stores import REAL

_WIDTH, _COLUMN = 76, 20
_OUTCOMES = ("failed", "not kept", "skipped", "passed")  # the worst first
_calls: dict[tuple[str, str], list[tuple[str, float]]] = defaultdict(list)
_notes: dict[str, None] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note how each test on a real server ended."""
    if report.when != "call" and report.passed:
        return
    name, _, case = report.nodeid.partition("[")
    promise = name.replace("::test_", ": ").replace("_", " ")
    for server in set(case.removesuffix("]").split("-")) & set(REAL):
        known = getattr(report, "wasxfail", None)
        outcome = report.outcome if known is None else "not kept"
        _calls[promise, server].append((outcome, report.duration))
        if known is not None:
            _notes[f"{server} does not keep it: {known}"] = None
        elif isinstance(report.longrepr, tuple):  # of one that was skipped
            _notes[f"{server}: {report.longrepr[2]}"] = None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show one line for each promise, one column for each server that was asked for."""
    if not _calls:
        return
    show = terminalreporter.line
    terminalreporter.section("what each S3 server keeps, and the seconds of its tests", sep="-")
    show(_row("", REAL))
    last = ""
    for promise in dict.fromkeys(promise for promise, _ in _calls):
        file, _, sentence = promise.partition(": ")
        if file != last:
            show(file.replace(" ", "_"))
            last = file
        show(_row(f"  {sentence}", [_told(_calls.get((promise, name), [])) for name in REAL]))
    totals = {
        name: [call for at in _calls if at[1] == name for call in _calls[at]] for name in REAL
    }
    for name, calls in totals.items():
        counts = Counter(outcome for outcome, _ in calls)
        said = ", ".join(f"{counts[outcome]} {outcome}" for outcome in _OUTCOMES if counts[outcome])
        show(f"{name}: {said} in {sum(seconds for _, seconds in calls):.0f} s")
    for note in _notes:
        show(note)


def _row(first: str, cells: list[str]) -> str:
    return f"{first:<{_WIDTH}}" + "".join(f"{cell:>{_COLUMN}}" for cell in cells)


def _told(calls: list[tuple[str, float]]) -> str:
    if not calls:
        return "-"
    outcomes = [outcome for outcome, _ in calls]
    worst = next(outcome for outcome in _OUTCOMES if outcome in outcomes)
    share = f" {outcomes.count(worst)}/{len(calls)}" if len(set(outcomes)) > 1 else ""
    return f"{worst}{share} {sum(seconds for _, seconds in calls):.1f} s"
