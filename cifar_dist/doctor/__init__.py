"""An examination of a set-up before anything is spent on it: one line per check, with its remedy.

A check is a function with `@CHECKS.add()` in the module of its subject; it returns a finding or
raises a deliberate error, and torch and ray are imported only by those that need them.
"""

import logging
import time
from concurrent.futures import wait

from cifar_dist.daemon import begun
from cifar_dist.doctor import cluster, data, machine, software, storage, workers
from cifar_dist.doctor.check import Check, Finding, Setup, failed, raised, skipped
from cifar_dist.documents.doctor import CheckRow, DoctorDocument
from cifar_dist.errors import CifarDistError
from cifar_dist.redaction import redacted

__all__ = ["CHECKS", "Setup", "examine"]

CHECKS: tuple[Check, ...] = tuple(
    check
    for subject in (software, machine, data, storage, cluster, workers)
    for check in subject.CHECKS.listed
)
"""All checks, in their order."""

log = logging.getLogger(__name__)


def examine(setup: Setup, checks: tuple[Check, ...] = CHECKS) -> DoctorDocument:
    """Make all checks; what one raises, or how long it takes, is its own finding."""
    started = time.monotonic()
    rows: list[CheckRow] = []
    lost: dict[str | None, str] = {}
    """Checks that nothing can build on, each with the one that failed."""
    try:
        for check in checks:
            cause = lost.get(check.needs)
            row = _row(check, setup, cause)
            if cause or row.verdict == "failed":
                lost[check.name] = cause or check.name
            rows.append(row)
    finally:
        setup.tidy()
    return DoctorDocument(
        checks=rows,
        exit_code=max((row.exit_code for row in rows), default=0),
        seconds=time.monotonic() - started,
    )


def _row(check: Check, setup: Setup, cause: str | None) -> CheckRow:
    started = time.monotonic()
    finding = skipped(f"{cause} failed") if cause else _made(check, setup)
    return CheckRow(
        name=check.name,
        verdict=finding.verdict,
        found=redacted(finding.found),
        remedy=finding.remedy and redacted(finding.remedy),
        exit_code=finding.exit_code,
        seconds=time.monotonic() - started,
    )


def _made(check: Check, setup: Setup) -> Finding:
    future = begun(lambda: check.look(setup))
    if not wait([future], timeout=check.seconds).done:
        return failed(
            f"no answer within {check.seconds:g} seconds",
            "see that what it asks runs and can be reached",
            check.kind,
        )
    error = future.exception()
    if isinstance(error, CifarDistError):
        return raised(error)
    if error is not None:
        log.debug("a check raised name=%s", check.name, exc_info=error)
        # Not its text, which may hold what nobody should see.
        reason = f"the check itself failed ({type(error).__name__})"
        return failed(reason, "this is a bug of ours, run again with --debug", CifarDistError)
    return future.result()
