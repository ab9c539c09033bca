"""A thousand GPU nodes and two hundred queued jobs, which are objects alone: what asking costs."""

import copy
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.cluster import NAMESPACE, RELEASE, ROOT, attempt, kubectl, program, run, told

_NODES, _JOBS, _TIMES = 1000, 200, 5
_NODES_SCRIPT = str(ROOT / "deploy" / "lab" / "nodes.sh")
_WHERE = ("--namespace", NAMESPACE, "--release", RELEASE)
_SIMULATED = ("--values", str(Path(__file__).with_name("simulated.yaml")))
_ASKED = ("train", "--model", "lenet5", "--data", "synthetic", "--store", "s3://cifar-dist/scale")


def _rendered() -> dict[str, Any]:
    ended = program("submit", *_ASKED, *_WHERE, "--dry-run", "--json")
    assert ended.returncode == 0, ended.stderr
    manifest: dict[str, Any] = json.loads(ended.stdout)["manifest"]
    return manifest


@pytest.fixture
def crowd(platform: str) -> Iterator[list[str]]:
    """Make the nodes, and the jobs, which wait in a queue; gives the jobs' names."""
    run(_NODES_SCRIPT, "gpu", str(_NODES))
    sample = _rendered()
    jobs = []
    for number in range(_JOBS):
        job = copy.deepcopy(sample)
        job["metadata"]["name"] = f"queued-{number:08x}"
        job["spec"]["suspend"] = True
        jobs.append(job)
    kubectl(
        "create", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": jobs})
    )
    yield [job["metadata"]["name"] for job in jobs]
    attempt("kubectl", "-n", NAMESPACE, "delete", "rayjobs", "--all", "--timeout=300s")
    run(_NODES_SCRIPT, "delete")


def _median(work: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(_TIMES):
        begun = time.monotonic()
        work()
        seconds.append(time.monotonic() - begun)
    return statistics.median(seconds)


def test_submitting_and_asking_work_on_a_crowded_cluster(
    crowd: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(told("get", "nodes", "-l", "type=kwok")["items"]) == _NODES
    numbers = iter(range(_TIMES))

    def submit() -> None:
        seed = str(next(numbers))
        ended = program("submit", *_ASKED, "--seed", seed, *_WHERE, *_SIMULATED, "--json")
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout)["state"] == "created"

    def status() -> None:
        ended = program("submit", "status", crowd[7], "--namespace", NAMESPACE, "--json")
        assert json.loads(ended.stdout)["submissions"][0]["name"] == crowd[7], ended.stderr

    def listed() -> None:
        ended = program("submit", "ls", "--namespace", NAMESPACE, "--json")
        assert len(json.loads(ended.stdout)["submissions"]) >= _JOBS, ended.stderr

    found = {"status": _median(status), "ls": _median(listed), "submit": _median(submit)}
    told_of = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in found.items())
    with capsys.disabled():
        sys.stdout.write(f"\nmedian of {_TIMES}, {_NODES} nodes, {_JOBS} queued jobs: {told_of}\n")
