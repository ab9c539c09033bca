"""An examination names what is wrong with a set-up and what to do; a sound one is all ok."""

import json
import os
import time
from concurrent.futures import Future
from pathlib import Path
from typing import NoReturn

import pytest

from cifar_dist.doctor import CHECKS, Setup, examine
from cifar_dist.doctor.check import Check, Finding, failed, ok, raised, skipped, warning
from cifar_dist.documents import CheckRow, DoctorDocument
from cifar_dist.errors import CifarDistError, DataError, RunError, StoreError
from tests.commands import Program, document, finished, listed, python

NAMES = [check.name for check in CHECKS]


@pytest.fixture(autouse=True)
def _own_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing of this machine's environment that a check would tell of."""
    for name in ("RAY_ADDRESS", "LD_PRELOAD", "OMP_NUM_THREADS", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def found(document: DoctorDocument) -> dict[str, CheckRow]:
    """Give the rows by their names."""
    return {row.name: row for row in document.checks}


def a_check(finding: Finding | Exception | None, name: str = "one", needs: str = "") -> Check:
    """Give a check that comes to this; without anything it never ends in time."""

    def look(_: Setup) -> Finding:
        if isinstance(finding, Exception):
            raise finding
        if finding is None:
            time.sleep(5)
        return finding or ok("late")

    return Check(name, look, needs or None, StoreError, 0.1 if finding is None else 5)


def examined(*checks: Check) -> DoctorDocument:
    return examine(Setup("nowhere", "synthetic"), checks)


def test_a_sound_set_up_is_all_ok_and_nothing_is_left(program: Program, folder: Path) -> None:
    ended = program("doctor", "--data", "synthetic", "--json")
    rows = document("doctor", ended.out)["checks"]
    assert (ended.code, ended.err) == (0, "")
    assert [row["name"] for row in rows] == NAMES
    sure = [row for row in rows if not row["name"].startswith(("workers", "gpu", "disk", "memory"))]
    assert {row["verdict"] for row in sure} == {"ok"}, rows
    assert {row["found"] for row in rows if row["verdict"] == "skipped"} == {
        "asked for with --workers N"
    }
    assert listed(folder) == []


def test_people_get_one_line_for_each_check(program: Program) -> None:
    ended = program("doctor", "--data", "synthetic")
    *lines, summary = ended.out.splitlines()
    assert [line.split()[1] for line in lines] == NAMES
    assert summary.startswith("0 failed, ")


def test_neither_torch_nor_ray_is_loaded_where_nothing_needs_them(folder: Path) -> None:
    code = """
import sys
from cifar_dist.cli.app import app
app(["doctor", "--data", "sample"], standalone_mode=False)
assert not {"torch", "ray", "boto3"} & set(sys.modules)
"""
    ended = finished(python("-c", code, cwd=folder))
    assert ended.code == 0, ended.err


def test_the_exit_code_is_that_of_the_worst_check() -> None:
    wrong = [a_check(failed("bad", "mend it", kind)) for kind in (DataError, StoreError, RunError)]
    assert examined(*wrong, a_check(ok("fine"))).exit_code == StoreError.exit_code
    assert examined(a_check(warning("odd", "look")), a_check(skipped("no"))).exit_code == 0


def test_a_check_that_needs_a_failed_one_is_skipped_with_its_name() -> None:
    lost = a_check(failed("bad", "mend it", StoreError))
    rows = found(
        examined(
            lost,
            a_check(ok("fine"), "two", "one"),
            a_check(ok("fine"), "three", "two"),
            a_check(ok("fine"), "four"),
        )
    )
    assert [rows[name].found for name in ("two", "three")] == ["one failed"] * 2
    assert [rows[name].verdict for name in ("one", "two", "four")] == ["failed", "skipped", "ok"]


def test_a_check_builds_on_one_that_had_nothing_to_look_at() -> None:
    rows = found(examined(a_check(skipped("none")), a_check(ok("fine"), "two", "one")))
    assert rows["two"].verdict == "ok"


def test_a_check_that_hangs_is_its_own_failure() -> None:
    (row,) = examined(a_check(None)).checks
    assert (row.verdict, row.exit_code) == ("failed", StoreError.exit_code)
    assert row.found == "no answer within 0.1 seconds"


def test_a_check_that_raises_is_its_own_failure_and_its_text_is_not_repeated() -> None:
    rows = examined(a_check(ValueError("hunter2")), a_check(ok("fine"), "two")).checks
    assert (rows[0].verdict, rows[0].exit_code) == ("failed", CifarDistError.exit_code)
    assert "ValueError" in rows[0].found
    assert "hunter2" not in str(rows)
    assert rows[1].verdict == "ok"


def test_a_deliberate_error_is_taken_apart_into_finding_and_remedy() -> None:
    finding = raised(DataError("no images; odd ones; run `data prepare`"))
    assert finding == ("failed", "no images; odd ones", "run `data prepare`", 2)


def test_a_sentence_without_a_remedy_is_told_once() -> None:
    finding = raised(DataError("a: must be text"))
    assert finding == ("failed", "a: must be text", "correct what this names", 2)


def test_an_interrupt_leaves_nothing_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(setup: Setup) -> Finding:
        setup.checkup.put()
        assert list(tmp_path.rglob("doctor/**/*"))
        return ok("put")

    def interrupted(futures: list[Future[Finding]], timeout: float) -> NoReturn:
        assert futures[0].result(timeout).verdict == "ok"
        raise KeyboardInterrupt

    monkeypatch.setattr("cifar_dist.doctor.wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        examine(Setup(str(tmp_path), "nosuch"), (Check("one", look, None, StoreError, 5),))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_every_check_names_only_earlier_ones_that_it_needs() -> None:
    for place, check in enumerate(CHECKS):
        assert check.needs is None or check.needs in NAMES[:place]
    assert len(set(NAMES)) == len(NAMES)


def test_every_check_leaves_a_finding_with_a_remedy_or_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://nobody:10001")
    for row in examine(Setup(str(tmp_path / "store"), "nosuch")).checks:
        assert row.found
        assert bool(row.remedy) == (row.verdict in ("warning", "failed"))
        assert bool(row.exit_code) == (row.verdict == "failed")


def test_planted_secrets_never_appear(
    program: Program, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    secrets = {
        "AWS_SECRET_ACCESS_KEY": "canary-secret-1",
        "AWS_SESSION_TOKEN": "canary-session-2",
        "RAY_AUTH_TOKEN": "canary-ray-3",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIACANARYCANARY")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("https_proxy", "http://user:canary-url-4@127.0.0.1:1")
    for flags in ([], ["--json"], ["--debug"]):
        ended = program("doctor", "--store", "s3://bucket/x", "--data", "synthetic", *flags)
        assert ended.code == StoreError.exit_code
        shown = ended.out + ended.err
        assert "canary" not in shown.lower().replace("***", ""), shown
        assert "AKIA***" in shown
    assert listed(folder) == []


def test_unprepared_images_are_named_with_the_command_that_brings_them(
    program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CIFAR_DIST_CACHE", str(tmp_path / "cache"))
    ended = program("doctor", "--data", "cifar10", "--json")
    (row,) = [row for row in json.loads(ended.out)["checks"] if row["name"] == "data"]
    assert (ended.code, row["verdict"]) == (DataError.exit_code, "failed")
    assert "data prepare cifar10" in row["found"] + row["remedy"]


def test_images_that_are_not_prepared_yet_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CIFAR_DIST_CACHE", str(tmp_path / "cache"))
    checks = tuple(check for check in CHECKS if check.name == "data")
    (row,) = examine(Setup("nowhere", "sample"), checks).checks
    assert row.verdict == "ok"
    assert "its first use prepares it" in row.found
    assert listed(tmp_path) == []


def test_an_error_of_a_foreign_kind_is_shown_with_debug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def look(_: Setup) -> NoReturn:
        raise ValueError("why")

    with caplog.at_level("DEBUG", logger="cifar_dist.doctor"):
        examined(Check("odd", look, None, RunError, 5))
    assert "a check raised name=odd" in caplog.text
    assert os.linesep in caplog.text
