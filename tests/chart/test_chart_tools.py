"""Other people's judges of the chart and the image: helm-unittest, hadolint and promtool."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.chart.renders import CHART, ROOT, lacking, needed, tool

UNITTEST = Path("~/.cache/k8s-lab/bin/helm-unittest").expanduser()
SOURCE = ROOT / "deploy" / "lab" / "build" / "helm-unittest"
SECONDS = 900  # a first build fetches 300 modules
TESTS = 80


@pytest.fixture(scope="module")
def unittest_program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Find helm-unittest, else build it."""
    found = os.environ.get("HELM_UNITTEST") or tool("helm-unittest")
    if found or UNITTEST.is_file():
        return str(found or UNITTEST)
    program = tmp_path_factory.mktemp("bin") / "helm-unittest"
    package = "github.com/helm-unittest/helm-unittest/cmd/helm-unittest"
    command = [needed("go"), "build", "-mod=readonly", "-o", str(program), package]
    environment = {**os.environ, "GOWORK": "off", "CGO_ENABLED": "0"}
    ended = subprocess.run(
        command, cwd=SOURCE, env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    if ended.returncode:
        lacking(f"helm-unittest cannot be built: {ended.stderr.strip()[-300:]}")
    return str(program)


def test_the_suites_of_the_chart_pass(unittest_program: str) -> None:
    command = [unittest_program, "--strict", str(CHART)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr
    passed = re.search(r"(?m)^Tests: +(\d+) passed, \1 total$", ended.stdout)
    assert passed and int(passed[1]) >= TESTS, ended.stdout[-600:]


@pytest.mark.parametrize(("said", "ending"), [("1", pytest.fail), ("", pytest.skip)])
def test_a_missing_tool_is_a_failure_only_where_all_are_said_to_be_there(
    monkeypatch: pytest.MonkeyPatch, said: str, ending: Any
) -> None:
    monkeypatch.setenv("CI", said)
    with pytest.raises(ending.Exception, match="no-such-tool is not installed"):
        needed("no-such-tool")


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    command = [needed("hadolint"), str(ROOT / "deploy" / "Dockerfile")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stdout + ended.stderr


def test_promtool_accepts_every_rule_file() -> None:
    promtool = needed("promtool")
    files = sorted(map(str, CHART.glob("alerts/*.yaml")))
    assert files
    ended = subprocess.run(
        [promtool, "check", "rules", "--lint-fatal", *files],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
