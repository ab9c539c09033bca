"""The platform as its commands bring it up: a cluster that stays, grows, shrinks and is reached."""

import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kubernetes.cluster import (
    NAMESPACE,
    TOKEN,
    VALUES,
    attempt,
    cifar_dist,
    program,
    told,
    until,
)
from tests.kubernetes.runs import STORE, Submission, pods, ready

_RELEASE = "stay"
_TRAINS = ("train", "--model", "lenet5", "--epochs", "1", "--data", "synthetic", "--workers", "1")


@pytest.fixture(scope="module")
def cluster(namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Deploy a release of its own with a cluster that stays, and a store of its own."""
    file = tmp_path_factory.mktemp("values") / "stays.yaml"
    file.write_text("mode: cluster", "utf-8")
    values = ("--values", str(VALUES), "--values", str(file))
    ended = cifar_dist(
        "platform", "deploy", *values, "--namespace", namespace, "--release", _RELEASE
    )
    try:
        assert ended.returncode == 0, ended.stderr
        yield f"{_RELEASE}-cifar-dist"
    finally:
        attempt("helm", "uninstall", _RELEASE, "--namespace", namespace, "--wait")


@contextmanager
def _dashboard() -> Iterator[str]:
    command = ("cifar-dist", "platform", "dashboard", "--namespace", NAMESPACE)
    with subprocess.Popen(
        [*command, "--release", _RELEASE], stdout=subprocess.PIPE, text=True
    ) as way:
        try:
            assert way.stdout is not None
            yield way.stdout.readline().split()[-1]
        finally:
            way.terminate()


def _answer(address: str, **headers: str) -> int:
    request = urllib.request.Request(f"{address}/api/jobs/", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_what_is_deployed_is_ready_and_asks_for_its_token(cluster: str) -> None:
    status = told("-n", NAMESPACE, "get", "raycluster", cluster)["status"]
    assert status["state"] == "ready"
    with _dashboard() as address:
        assert _answer(address) == 401
        assert _answer(address, Authorization=f"Bearer {TOKEN}") == 200


def test_workers_come_for_a_run_by_the_jobs_api_and_go_after_it(cluster: str) -> None:
    assert pods("worker") == []
    with _dashboard() as address:
        flags = ("--ray", address, "--store", f"{STORE}/stays", "--follow")
        ended = cifar_dist("submit", *_TRAINS, *flags, RAY_AUTH_TOKEN=TOKEN)
        assert ended.returncode == 0, ended.stderr
        assert ready("worker"), "idle workers stay for a while"
    until("no worker", lambda: not pods("worker"), 300)


def test_the_best_checkpoint_of_a_job_is_fetched_by_its_name(platform: str, tmp_path: Path) -> None:
    where = ("--namespace", NAMESPACE, "--release", platform)
    Submission(tmp_path, *_TRAINS, "--name", "fetched").ended()
    fetched = program("platform", "fetch", *where, "--output", str(tmp_path / "best"))
    assert fetched.returncode == 0, fetched.stderr
    assert (tmp_path / "best" / "model.safetensors").is_file()
