"""Six planted secrets appear nowhere, after runs that succeed and fail at debug level."""

import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest

from tests.canaries import Canaries
from tests.clusters import LocalRay, local_ray
from tests.soak import LONG
from tests.soak_processes import descendants, given

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.soak,
    pytest.mark.filterwarnings("default"),  # Ray's own are its makers' business
]

TINY = (
    "--data synthetic --set recipe.model.name=lenet5 --set recipe.optimizer.name=sgd --epochs 1 "
    "--set recipe.precision=fp32 --debug --json --store s3://bucket/canaries"
)
SPACE = """
description: one learning rate that works and one that does not
trials: 2
space: {recipe.optimizer.lr: {choice: [5000.0, 9000.0]}}
"""
REST = (
    "/api/jobs/",
    "/api/v0/actors?detail=1",
    "/api/v0/tasks?detail=1",
    "/api/v0/workers?detail=1",
    "/api/v0/runtime_envs",
    "/nodes?view=summary",
)


@dataclass
class Scene:
    """Where everything happens that may write a secret."""

    canaries: Canaries
    folder: Path
    environment: dict[str, str]
    ray: LocalRay
    codes: dict[str, int] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    looked: int = 0
    """Command lines and files of running commands that were searched."""

    def call(self, name: str, *words: str, **environment: str) -> None:
        """Run a command to its end and search meanwhile what it has and is."""
        out, err = self.folder / f"{name}.out", self.folder / f"{name}.err"
        with out.open("wb") as output, err.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", *words],
                stdout=output,
                stderr=errors,
                cwd=self.folder,
                env=given({**self.environment, **environment}),
            )
        try:
            while process.poll() is None:
                self.looked += self.canaries.search_processes(process.pid)
                self.looked += self.canaries.search_files(self.folder / "tmp")
                time.sleep(0.5)
        finally:
            process.kill()
        self.codes[name] = process.returncode
        self.shown[name] = out.read_text() + err.read_text()


@pytest.fixture(scope="module")
def scene(simulated_s3: str) -> Iterator[Scene]:
    """Run what succeeds and what fails, on a Ray that knows the secrets as well."""
    # Not a folder of pytest's: the path of Ray's sockets would become too long.
    with tempfile.TemporaryDirectory(prefix="canary-", ignore_cleanup_errors=True) as name:
        folder, canaries = Path(name), Canaries()
        (folder / "tmp").mkdir()
        (folder / "space.yaml").write_text(SPACE)
        own = {
            **canaries.environment,
            "AWS_ENDPOINT_URL": simulated_s3,
            "AWS_REGION": "us-east-1",
            "HOME": name,
            "TMPDIR": str(folder / "tmp"),
            "RAY_ADDRESS": "",
            "RAY_TMPDIR": name,
            "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
            "OMP_NUM_THREADS": "1",
        }
        with local_ray(**own) as ray:
            found = Scene(canaries, folder, {**own, "RAY_ADDRESS": ray.address}, ray)
            found.call("leaking", "tests.leaking", "train", *TINY.split(), "--workers", "1")
            found.call("tune", "cifar_dist", "tune", "space.yaml", *TINY.split(), "--workers", "2")
            if LONG:  # what it does is part of a sweep, too
                line = [*TINY.split(), "--workers", "2", "--fresh"]
                found.call("train", "cifar_dist", "train", *line)
            yield found


def test_work_ends_as_it_should_and_a_worker_that_tells_secrets_tells_stars(scene: Scene) -> None:
    assert scene.codes.pop("train", 0) == 0, scene.shown["train"]
    assert scene.codes == {"leaking": 3, "tune": 0}, scene.shown
    assert "Authorization: ***" in scene.shown["leaking"]
    assert "Traceback" in scene.shown["leaking"]
    rows = json.loads((scene.folder / "tune.out").read_text())["trials"]
    assert [row["state"] for row in rows] == ["finished", "failed"]


def test_no_output_no_log_and_no_file_holds_a_secret(scene: Scene) -> None:
    assert scene.looked > 20
    assert scene.canaries.search_files(scene.folder) > 30
    assert list(scene.folder.glob("ray/session_*/logs/**/*.log"))
    assert scene.canaries.seen == {}


def test_no_object_of_the_bucket_holds_a_secret(scene: Scene, simulated_s3: str) -> None:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("s3", endpoint_url=simulated_s3, region_name="us-east-1", **keys)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="bucket", Prefix="canaries/")
    names = [entry["Key"] for page in pages for entry in page["Contents"]]
    for name in names:
        body = client.get_object(Bucket="bucket", Key=name)["Body"].read()
        scene.canaries.search(name, name.encode() + body)
    client.close()
    assert len(names) > 30
    assert scene.canaries.seen == {}


def told(address: str, token: str | None = None) -> bytes:
    request = urllib.request.Request(address)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        content: bytes = answer.read()
        return content


@pytest.mark.parametrize("path", REST)
def test_no_answer_of_rays_dashboard_holds_a_secret(path: str, scene: Scene) -> None:
    content = told(scene.ray.dashboard + path, scene.canaries.values["Ray token"])
    scene.canaries.search(path, content)
    assert len(content) > 20
    assert scene.canaries.seen == {}


def test_no_metrics_page_holds_a_secret(scene: Scene) -> None:
    (found,) = scene.folder.glob("ray/prom_metrics_service_discovery.json")
    pages = [place for group in json.loads(found.read_text()) for place in group["targets"]]
    assert pages
    told_by = {}
    for page in pages:
        with suppress(urllib.error.URLError):  # not each of Ray's three serves one here
            told_by[page] = told(f"http://{page}/metrics")
            scene.canaries.search(page, told_by[page])
    assert any(b"ray_" in content for content in told_by.values())
    assert scene.canaries.seen == {}


def test_no_command_line_of_rays_processes_holds_a_secret_though_they_know_them(
    scene: Scene,
) -> None:
    assert scene.canaries.search_processes(scene.ray.pid) > 4
    assert scene.canaries.seen == {}
    knows = Canaries()
    knows.values = scene.canaries.values
    for pid in descendants(scene.ray.pid):
        knows.search("", Path(f"/proc/{pid}/environ").read_bytes())
    assert set(knows.seen) == set(knows.values)
