"""`submit tune --ray`: the same command on a Ray cluster that is there, again and again."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.commands import Program
from tests.fake_cluster import DATA, STORE
from tests.ray_dashboards import TOKEN, Dashboard, served

TUNE = ("submit", "tune", "dropout", "--store", STORE, "--data", DATA)


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dashboard]:
    """Serve a dashboard whose token the environment has."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    with served() as found:
        yield found


def submitted(program: Program, ray: Dashboard, *words: str) -> dict[str, Any]:
    """Submit, and give the document."""
    found: dict[str, Any] = json.loads(program(*TUNE, "--ray", ray.address, *words, "--json").out)
    return found


def test_a_job_that_ended_badly_runs_again_and_one_that_runs_or_is_done_is_found(
    program: Program, ray: Dashboard
) -> None:
    first = submitted(program, ray)
    job = ray.jobs[first["name"]]
    assert (first["state"], job["entrypoint"]) == ("submitted", first["command"])
    assert "--resume" in first["command"]
    assert submitted(program, ray)["outcome"] == "running"
    ray.jobs[first["name"]]["status"] = "STOPPED"
    assert submitted(program, ray)["state"] == "submitted"
    ray.jobs[first["name"]]["status"] = "SUCCEEDED"
    done = submitted(program, ray)
    assert (done["state"], done["outcome"], done["exit_code"]) == ("found", "succeeded", 0)
    assert "--fresh" not in program(*TUNE, "--ray", ray.address).out


def test_a_token_that_is_refused_is_no_success(
    program: Program, ray: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "another")
    ended = program(*TUNE, "--ray", ray.address)
    assert (ended.code, ended.out, ray.jobs) == (4, "", {})


def test_a_followed_job_ends_with_its_exit_code_and_how_to_resume_it(
    program: Program, ray: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(jobs: Any, name: str, *_: Any) -> Iterator[str]:
        ray.jobs[name] |= {"status": "FAILED", "driver_exit_code": 4}
        yield "epoch 1"

    monkeypatch.setattr("cifar_dist.submission.logs.read_again", read)
    ended = program(*TUNE, "--ray", ray.address, "--follow")
    assert (ended.code, "epoch 1" in ended.err) == (4, True)
    assert "resume: the same command" in ended.out


def test_ctrl_c_leaves_the_job_and_says_how_to_look_at_it_and_stop_it(
    program: Program, ray: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: Any) -> Iterator[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr("cifar_dist.submission.logs.read_again", read)
    ended = program(*TUNE, "--ray", ray.address, "--follow")
    assert (ended.code, ended.out) == (130, "")
    (name,) = ray.jobs
    for verb in ("status", "stop"):
        assert f"cifar-dist submit {verb} {name} --ray {ray.address}" in ended.err
