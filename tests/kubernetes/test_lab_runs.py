"""Runs and sweeps in real pods: what they learn, where they run, and what survives lost pods."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.cluster import NAMESPACE, program, told, until
from tests.kubernetes.runs import STORE, Submission, delete_one, pods, ready, surroundings
from tests.soak_sweeps import repeated, run_again, sweep_in

_NET = (
    "--model",
    "lenet5",
    "--epochs",
    "2",
    "--batch-size",
    "250",
    "--set",
    "recipe.precision=fp32",
)


@pytest.fixture(scope="module", autouse=True)
def _reached(platform: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in surroundings().items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def images(platform: str) -> str:
    """Publish the packaged images in the cluster's store."""
    ended = program("data", "push", "sample", STORE, "--json")
    assert ended.returncode == 0, ended.stderr
    address: str = json.loads(ended.stdout)["published"]
    return address


def _losses(document: dict[str, Any]) -> list[tuple[float, float]]:
    return [(epoch["train_loss"], epoch["validation_loss"]) for epoch in document["history"]]


def _local(tmp_path: Path, images: str) -> dict[str, Any]:
    ended = program(
        "train", *_NET, "--workers", "2", "--data", images, "--store", str(tmp_path), "--json",
        RAY_ADDRESS="",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


def test_two_workers_in_two_pods_learn_what_two_processes_learn_here(
    tmp_path: Path, images: str
) -> None:
    asked = ("train", *_NET, "--workers", "2", "--data", images, "--store", f"{STORE}/pair")
    submission = Submission(tmp_path, *asked)
    workers = until("two workers", lambda: len(found := ready("worker")) == 2 and found)
    assert len({pod["metadata"]["name"] for pod in workers}) == 2
    submission.ended()
    again = program(*asked, "--resume", "--json")  # finished: it is given back, not trained
    assert again.returncode == 0, again.stderr
    assert _losses(json.loads(again.stdout)) == _losses(_local(tmp_path / "here", images))


def test_pods_run_as_nobody_on_a_root_that_cannot_be_written(tmp_path: Path, images: str) -> None:
    submission = Submission(
        tmp_path, "train", *_NET, "--workers", "1", "--data", images, "--store", f"{STORE}/bare"
    )
    found = until("a worker", lambda: ready("worker"))
    for pod in [*found, *ready("head")]:
        user = pod["spec"]["securityContext"]["runAsUser"]
        contexts = [c["securityContext"] for c in pod["spec"]["containers"]]
        assert user >= 1000
        assert all(context["readOnlyRootFilesystem"] for context in contexts)
        assert all(context["capabilities"]["drop"] == ["ALL"] for context in contexts)
    submission.ended()


def test_a_sweep_loses_a_worker_and_then_its_head_and_repeats_nothing_that_ended(
    tmp_path: Path, images: str
) -> None:
    store = f"{STORE}/chaos"
    submission = Submission(tmp_path, "tune", "quickstart", "--data", images, "--store", store)

    def ended() -> int:
        names = sweep_names(store)
        if not names:
            return 0
        return sum(event["event"] == "end" for event in sweep_in(store).events())

    until("two ended trials", lambda: ended() >= 2, 900)
    lost = delete_one("worker")
    until("another worker", lambda: any(p["metadata"]["name"] != lost for p in ready("worker")))
    until("four ended trials", lambda: ended() >= 4, 900)
    before = delete_one("head")
    until("another head", lambda: any(p["metadata"]["name"] != before for p in ready("head")))
    submission.ended()
    assert run_again(store) == []
    assert sweep_in(store).finished is not None
    assert repeated(store) <= 2  # trials that the lost head left between two commits
    assert "resum" in submission.said


def sweep_names(store: str) -> list[str]:
    """Give the sweeps that a store has so far."""
    from cifar_dist.store import open_store

    return list(open_store(store).folders("sweeps"))


def test_a_finished_sweep_asked_for_again_is_told_and_not_run(tmp_path: Path, images: str) -> None:
    arguments = ("tune", "quickstart", "--data", images, "--store", f"{STORE}/chaos")
    Submission(tmp_path, *arguments).ended()
    jobs = told("-n", NAMESPACE, "get", "rayjobs")["items"]
    assert len([job for job in jobs if "quickstart" in job["metadata"]["name"]]) <= 1


def test_what_a_sweep_found_is_fetched_and_verified_here(tmp_path: Path, images: str) -> None:
    store = f"{STORE}/chaos"
    name = sweep_names(store)[0]
    fetched = program("artifacts", "get", name, "--store", store, "--output", str(tmp_path / "won"))
    assert fetched.returncode == 0, fetched.stderr
    assert program("artifacts", "verify", name, "--store", store).returncode == 0
    until("the cluster's end", lambda: not pods("head"))
