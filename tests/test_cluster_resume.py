"""A sweep whose driver is killed goes on elsewhere, from the store alone, and loses nothing."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.runs import Sweep
from cifar_dist.search import Space
from cifar_dist.store import open_store
from tests.clusters import eventually
from tests.commands import document, finished, started
from tests.ledgers import trial_logs
from tests.tiny import make_job

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("ray_address"),
    pytest.mark.filterwarnings("default"),
]

TRIALS = 4
Came = set[tuple[str, int, float, str]]


def space_file(folder: Path) -> Path:
    """Write a space of trials that follow each other, so that ASHA's decisions are always equal."""
    job = make_job(recipe__epochs=3, placement__workers=None, placement__concurrency=1)
    space = Space.parse(
        {
            "description": "d",
            "job": job.model_dump(mode="json", exclude={"store"}),
            "trials": TRIALS,
            "asha": {"grace_epochs": 1, "reduction_factor": 2},
            "space": {"recipe.optimizer.lr": {"uniform": [0.01, 0.2]}},
        }
    )
    path = folder / "space.yaml"
    path.write_text(space.model_dump_json(), "utf-8")
    return path


def came_to(found: dict[str, Any]) -> Came:
    """Give configuration, seed, final metric and state of each trial."""
    seed = found["job"]["recipe"]["seed"]
    return {
        (json.dumps(row["parameters"]), seed, row["validation_accuracy"], row["state"])
        for row in found["trials"]
    }


def tuned(folder: Path, store: Path, *flags: str) -> dict[str, Any]:
    command = ["tune", str(space_file(folder)), "--store", str(store), "--json", *flags]
    ended = finished(started(*command, cwd=folder))
    assert ended.code == 0, ended.err
    return document("tune", ended.out)


def killed(folder: Path, store: Path, ends: int) -> str:
    """Kill a sweep's driver once so many trials ended and another has told an epoch; its id."""
    opened = open_store(str(store))

    def is_under_way() -> bool:
        found = [trial_logs(Sweep(opened, f"sweeps/{name}")) for name in opened.folders("sweeps")]
        logs = list(found[0].values()) if found else []
        return sum(log.end is not None for log in logs) >= ends and logs[-1].end is None

    process = started("tune", str(space_file(folder)), "--store", str(store), cwd=folder)
    try:
        assert eventually(lambda: is_under_way() or process.poll() is not None, 300.0)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    (name,) = opened.folders("sweeps")
    return name


def test_a_killed_driver_loses_no_trial_and_changes_nothing(tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    whole = tuned(here, tmp_path / "whole")
    store = tmp_path / "store"
    name = killed(here, store, ends=1)
    command = ["resume", name, "--store", str(store), "--json"]
    ended = finished(started(*command, cwd=elsewhere, CIFAR_DIST_CACHE=str(elsewhere / "empty")))
    assert ended.code == 0, ended.err
    resumed = document("tune", ended.out)
    assert came_to(resumed) == came_to(whole)
    same = ("best", "best_job", "validation", "test")
    whole["best_job"]["store"] = resumed["best_job"]["store"]
    assert {key: resumed[key] for key in same} == {key: whole[key] for key in same}
    events = list(Sweep(open_store(str(store)), f"sweeps/{name}").events())
    ends = [event["trial"] for event in events if event["event"] == "end"]
    assert sorted(ends) == list(range(TRIALS)), "each trial ends once"
    more = tuned(here, tmp_path / "whole", "--extend", "1")
    assert came_to(more) > came_to(whole)
    assert len(more["trials"]) == TRIALS + 1
