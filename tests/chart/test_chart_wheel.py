"""The chart travels in the wheel: what is installed anywhere can render a run."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.chart.crd import complaints, kind_of
from tests.chart.injected import pods
from tests.chart.modules import kuberay
from tests.chart.pod_security import violations
from tests.chart.renders import CHART, ROOT, needed, objects

CALL = "from cifar_dist.cli import main; main()"
STORE = "s3://research/cifar-dist"
SUBMIT = ("submit", "tune", "quickstart", "--dry-run", "--store", STORE, "--data", STORE)
SECONDS = 120


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and unpack it outside the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 0, ended.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "packages")
    return folder / "packages"


def test_the_wheel_carries_the_whole_chart(installed: Path) -> None:
    inside = installed / "cifar_dist" / "helm" / CHART.name
    for path in CHART.rglob("*"):
        if path.is_file():
            there = inside / path.relative_to(CHART)
            assert there.read_bytes() == path.read_bytes()


def test_a_run_is_rendered_from_an_installed_wheel(installed: Path, tmp_path: Path) -> None:
    environment = {
        "PATH": os.pathsep.join([str(Path(needed("helm")).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(installed),
        "HOME": str(tmp_path),
    }
    ended = subprocess.run(
        [sys.executable, "-c", CALL, *SUBMIT],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert ended.returncode == 0, ended.stderr
    (job,) = objects(ended.stdout)
    assert job["kind"] == "RayJob" and "cifar-dist tune" in job["spec"]["entrypoint"]
    assert not complaints(kuberay()[kind_of(job)], job)
    assert not [reason for _, pod in pods(job) for reason in violations(pod)]
