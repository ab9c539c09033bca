"""Alert rules: complete, explained, and tested so that a wrong rule is noticed."""

import itertools
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart import queries
from tests.chart.renders import needed

ALERTS = queries.alerts()
TESTS = sorted((Path(__file__).parent / "alerts").glob("*.yaml"))
PROMISED = {
    "CifarDistSweepStalled", "CifarDistGpusIdle", "CifarDistStorageFailing",
    "CifarDistCheckpointTooOld", "CifarDistDiverging", "CifarDistBudgetNearlySpent",
    "CifarDistPreemptionStorm", "CifarDistJobFailed", "CifarDistJobStuck", "CifarDistTargetDown",
}  # fmt: skip
LABELS = {
    "run", "namespace", "ray_io_cluster", "name", "job_name", "endpoint", "ip", "severity",
}  # fmt: skip
ids = [f"{rule['alert']}-{rule['labels']['severity']}" for rule in ALERTS]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Give a copy of rules and their tests that may be spoiled."""
    for folder in ("helm/cifar-dist/alerts", "tests/chart/alerts"):
        shutil.copytree(queries.ROOT / folder, tmp_path / folder)
    return tmp_path


def test_what_was_promised_is_watched() -> None:
    assert {rule["alert"] for rule in ALERTS} >= PROMISED


@pytest.mark.parametrize("rule", ALERTS, ids=ids)
def test_an_alert_says_how_bad_it_is_and_how_it_got_there(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"warning", "critical"}
    said = rule["annotations"]
    assert set(said) == {"summary", "description", "runbook_url"}
    assert "$value" in said["description"]
    assert set(re.findall(r"\$labels\.(\w+)", " ".join(said.values()))) <= LABELS


@pytest.mark.parametrize("rule", ALERTS, ids=ids)
def test_an_alert_has_an_entry_in_the_runbook(rule: dict[str, Any]) -> None:
    path, anchor = rule["annotations"]["runbook_url"].split("#")
    text = (queries.ROOT / path).read_text("utf-8")
    assert anchor == rule["alert"].lower()
    assert f"\n### {rule['alert']}\n" in text


def test_a_runbook_entry_has_its_alert() -> None:
    text = (queries.ROOT / "deploy/README.md").read_text("utf-8")
    assert set(re.findall(r"(?m)^### (CifarDist\w+)$", text)) == {r["alert"] for r in ALERTS}


def test_an_alert_is_shown_firing_and_silent() -> None:
    shown: dict[str, set[bool]] = {}
    for path in TESTS:
        for test in yaml.safe_load(path.read_text("utf-8"))["tests"]:
            for case in test.get("alert_rule_test", ()):
                shown.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    # A budget has no delay: there one case holds a run at the bound and one beyond it.
    assert set(shown) == {rule["alert"] for rule in ALERTS}
    without_delay = {"CifarDistBudgetNearlySpent", "CifarDistDiverging"}
    assert {name for name, both in shown.items() if both != {True, False}} <= without_delay


def test_the_rules_pass_their_tests() -> None:
    ended = _promtool(queries.ROOT)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("spoiled", ["vector(1) > 2", "vector(1)"], ids=["never", "always"])
def test_every_spoiled_alert_fails_its_tests(copied: Path, spoiled: str) -> None:
    for path in sorted((copied / "helm/cifar-dist/alerts").glob("*.yaml")):
        text = yaml.safe_load(path.read_text("utf-8"))
        for rule in itertools.chain(*(group["rules"] for group in text["groups"])):
            if "alert" in rule:
                rule["expr"] = spoiled
        path.write_text(yaml.safe_dump(text), "utf-8")
    ended = _promtool(copied)
    noticed = re.findall(r'{alertname="(\w+)".*severity="(\w+)"', ended.stdout + ended.stderr)
    wanted = {(rule["alert"], rule["labels"]["severity"]) for rule in ALERTS}
    assert (ended.returncode, set(noticed)) == (1, wanted)


@pytest.mark.parametrize("query", queries.of_rules(), ids=lambda query: query.where)
def test_rates_are_taken_before_sums_and_survive_a_restart(query: queries.Query) -> None:
    assert not re.search(r"(rate|increase)\((sum|max|avg)", query.text)
    assert "without" not in query.text, "what is kept is named, so that labels stay bounded"


def _promtool(root: Path) -> subprocess.CompletedProcess[str]:
    tests = sorted((root / "tests/chart/alerts").glob("*.yaml"))
    command = [needed("promtool"), "test", "rules", *map(str, tests)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
