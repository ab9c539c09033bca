"""`submit --dry-run` with the real helm: the whole way from a command line to a RayJob."""

import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cifar_dist.cli.app import app
from cifar_dist.submission.observed import dig, items
from cifar_dist.submission.rules import dangers, problems
from tests.chart.renders import CHART, needed

PLACES = ("--store", "s3://research/team", "--data", "s3://research/team/datasets/00")
pytestmark = pytest.mark.chart


@cache
def rendered(*words: str, folder: str = ".") -> dict[str, Any]:
    """Call the program with --dry-run and give its document."""
    line = ["submit", *words, "--dry-run", "--json"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "PATH", os.pathsep.join([str(Path(needed("helm")).parent), os.environ["PATH"]])
        )
        patch.setattr(sys, "argv", ["cifar-dist", *line])
        patch.chdir(folder)
        ended = CliRunner().invoke(app, line)
    assert ended.exit_code == 0, ended.output
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def groups(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give the worker groups of the rendered job by name."""
    found = items(document, "manifest", "spec", "rayClusterSpec", "workerGroupSpecs")
    return {str(group["groupName"]): dict(group) for group in found}


def test_a_sweep_is_the_job_that_was_asked_for() -> None:
    found = rendered("tune", "quickstart", "--trials", "5", *PLACES)
    spec = dig(found, "manifest", "spec")
    assert spec["submissionMode"] == "HTTPMode" and spec["shutdownAfterJobFinishes"] is True
    assert spec["preRunningDeadlineSeconds"] > 0 and spec["entrypoint"] == found["command"]
    assert found["command"].startswith("cifar-dist tune quickstart ")
    assert found["command"].endswith("--trials 5 --resume --metrics-port 9400")
    assert spec["rayClusterSpec"]["enableInTreeAutoscaling"] is True
    assert spec["rayClusterSpec"]["authOptions"]["mode"] == "token"
    metadata = dig(found, "manifest", "metadata")
    assert metadata["name"] == found["name"] and metadata["labels"]["cifar-dist.io/kind"] == "tune"
    assert "submit tune quickstart" in metadata["annotations"]["cifar-dist.io/asked"]
    assert list(groups(found)) == ["cpu"]
    assert (groups(found)["cpu"]["minReplicas"], groups(found)["cpu"]["maxReplicas"]) == (0, 4)


def test_workers_of_a_run_are_fixed_pods_on_different_nodes() -> None:
    found = rendered("train", "--workers", "2", *PLACES)
    group = groups(found)["cpu"]
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (2, 2, 2)
    assert not dig(found, "manifest", "spec", "rayClusterSpec", "enableInTreeAutoscaling")
    terms = dig(group, "template", "spec", "affinity", "podAntiAffinity")
    assert items(terms, "preferredDuringSchedulingIgnoredDuringExecution")


def test_gpus_bring_their_group_and_its_toleration() -> None:
    words = ("--workers", "2", "--set", "placement.gpus_per_worker=1")
    found = rendered("train", *words, *PLACES)
    assert list(groups(found)) == ["gpu"]
    pod = groups(found)["gpu"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" in {toleration.get("key") for toleration in pod["tolerations"]}


def test_a_users_file_travels_unchanged(tmp_path: Path) -> None:
    text = "recipe: {epochs: 3}  # \"quoted\" $(HOME) ${HOME} 'single' {{ .Values }} ünïcode\n"
    (tmp_path / "job.yaml").write_text(text, "utf-8")
    found = rendered("train", "job.yaml", *PLACES, folder=str(tmp_path))
    cluster = dig(found, "manifest", "spec", "rayClusterSpec")
    (head,) = items(cluster, "headGroupSpec", "template", "spec", "containers")
    values = {entry["name"]: entry.get("value") for entry in items(head, "env")}
    assert values["CIFAR_DIST_JOB"] == text.replace("$", "$$")
    assert found["command"].startswith("printenv CIFAR_DIST_JOB | cifar-dist train - ")
    for group in items(cluster, "workerGroupSpecs"):
        (worker,) = items(group, "template", "spec", "containers")
        assert "CIFAR_DIST_JOB" not in {entry["name"] for entry in items(worker, "env")}


@pytest.mark.parametrize("path", sorted((CHART / "ci").glob("*-values.yaml")), ids=lambda p: p.stem)
def test_the_operator_has_nothing_against_a_run_on_any_platform(path: Path) -> None:
    found = rendered("tune", "quickstart", "--values", str(path), *PLACES)
    manifest = found["manifest"]
    assert problems(manifest) == [] and problems(manifest, version=(1, 6)) == []
    if "token" in str(dig(manifest, "spec", "rayClusterSpec", "authOptions")):
        assert dangers(manifest) == []
    assert len(found["name"]) <= 47


def test_the_same_is_rendered_again_byte_for_byte() -> None:
    first = rendered("tune", "dropout", *PLACES)
    rendered.cache_clear()
    assert rendered("tune", "dropout", *PLACES)["manifest_sha256"] == first["manifest_sha256"]


def test_the_platforms_name_is_the_one_that_the_chart_gives_it() -> None:
    from cifar_dist.submission.chart import full_name

    for release in ("cifar-dist", "cd", "my-cifar-dist"):
        found = rendered("tune", "dropout", "--release", release, *PLACES)
        cluster = dig(found, "manifest", "spec", "rayClusterSpec")
        account = dig(cluster, "headGroupSpec", "template", "spec", "serviceAccountName")
        assert account == f"{full_name(release, {})}-head"
