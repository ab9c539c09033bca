"""Sweeps whose driver is killed, whose disk is wiped and whose storage goes away lose no trial."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.s3_servers import Server
from tests.soak import LONG, long_only, rounds
from tests.soak_kills import Process, driver_strike, killed, moments
from tests.soak_processes import Task, ended, wait_for
from tests.soak_storage import reached, take_away
from tests.soak_sweeps import epochs_told, repeated, rows, run_again, sweep_in

pytestmark = [
    pytest.mark.soak,
    pytest.mark.cluster,
    pytest.mark.filterwarnings("default"),  # Ray's own are its makers' business
]

TRIALS, EPOCHS = (12, 8) if LONG else (4, 3)
_JOB = {
    "name": "soak",
    "recipe": {
        "data": "synthetic",
        "model": {"name": "lenet5"},
        "optimizer": {"name": "sgd", "lr": 0.05},
        "epochs": EPOCHS,
        "batch_size": 50,
        "precision": "fp32",
    },
    "placement": {"cpus_per_worker": 1, "gpus_per_worker": 0},
}
_SPACE = {
    "description": "what is found does not depend on how often the search was killed",
    "job": _JOB,
    "trials": TRIALS,
    "sampler": "random",
    "space": {
        "recipe.optimizer.lr": {"loguniform": [0.001, 0.1]},
        "recipe.model.dropout": {"uniform": [0.0, 0.5]},
    },
}
NO_PRUNING: dict[str, Any] = {**_SPACE, "asha": None}
# One trial at a time, as what ASHA stops depends on the order in which trials report.
PRUNING: dict[str, Any] = {
    **_SPACE,
    "job": {**_JOB, "placement": {**_JOB["placement"], "concurrency": 1}},  # type: ignore[dict-item]
    "asha": {"grace_epochs": 1, "reduction_factor": 2},
}
Sweeping = Callable[..., Task]
Undisturbed = Callable[[dict[str, Any]], list[dict[str, Any]]]


@pytest.fixture
def sweeping(tmp_path: Path, storage: Server) -> Iterator[Sweeping]:
    """Make sweeps in stores of their own, each with a disk of its own."""
    disks: list[Path] = []

    def made(space: dict[str, Any], **environment: str) -> Task:
        # A short path: Ray's sockets lie below it.
        disks.append(Path(tempfile.mkdtemp(prefix="soak", dir="/tmp")))
        disk, file = disks[-1], tmp_path / "space.yaml"
        file.write_text(json.dumps(space), "utf-8")
        own = {"TMPDIR": f"{disk}/tmp", "CIFAR_DIST_CACHE": f"{disk}/cache", "RAY_ADDRESS": ""}
        task = Task(
            ("tune", str(file)), storage.new_uri(), disk / "cwd", environment={**own, **environment}
        )
        wipe(task)
        return task

    yield made
    for disk in disks:
        shutil.rmtree(disk, ignore_errors=True)


def wipe(task: Task) -> None:
    """Leave nothing on the disk but what the command showed."""
    disk = task.folder.parent
    for name in ("cwd", "tmp", "cache"):
        shutil.rmtree(disk / name, ignore_errors=True)
        (disk / name).mkdir(exist_ok=True)


def wiping_strike(task: Task, process: Process) -> Process:
    process.kill()
    process.wait()
    wipe(task)
    return driver_strike(task, process)


@pytest.fixture(scope="module")
def known() -> dict[str, list[dict[str, Any]]]:
    """Keep what undisturbed sweeps found, by their space."""
    return {}


@pytest.fixture
def undisturbed(sweeping: Sweeping, known: dict[str, list[dict[str, Any]]]) -> Undisturbed:
    """Give the rows that a space leads to if nothing happens."""

    def found(space: dict[str, Any]) -> list[dict[str, Any]]:
        text = json.dumps(space)
        if text not in known:
            task = sweeping(space)
            assert ended(task, task.begin()) == 0, task.shown[-3000:]
            known[text] = rows(task.store)
        return known[text]

    return found


@long_only
def test_a_sweep_whose_driver_and_disk_are_lost_finds_what_an_undisturbed_one_finds(
    sweeping: Sweeping, undisturbed: Undisturbed, figures: dict[str, Any]
) -> None:
    expected = undisturbed(NO_PRUNING)
    struck = sweeping(NO_PRUNING)
    when = moments(0, 5, TRIALS * EPOCHS * 2 // 3)
    ending = killed(struck, when, wiping_strike, epochs_told)
    figures |= {"kills": ending.strikes, "epochs repeated": repeated(struck.store)}
    assert ending == (0, len(when)), struck.shown[-3000:]
    assert rows(struck.store) == expected
    assert run_again(struck.store) == []


@long_only
def test_asha_goes_on_where_it_was_and_repeats_little(
    sweeping: Sweeping, undisturbed: Undisturbed, figures: dict[str, Any]
) -> None:
    expected = undisturbed(PRUNING)
    total = sum(row["epochs"] for row in expected)
    struck = sweeping(PRUNING)
    ending = killed(struck, moments(1, 5, total * 2 // 3), wiping_strike, epochs_told)
    told = epochs_told(struck.store)
    figures |= {"kills": ending.strikes, "epochs": told, "epochs undisturbed": total}
    assert ending == (0, 5), struck.shown[-3000:]
    assert rows(struck.store) == expected
    assert run_again(struck.store) == []
    assert told <= 1.15 * total


def test_storage_that_goes_away_costs_a_sweep_only_the_wait(
    sweeping: Sweeping, undisturbed: Undisturbed, storage: Server, figures: dict[str, Any]
) -> None:
    expected = undisturbed(NO_PRUNING)
    with reached(storage) as (proxy, environment):
        waiting = sweeping(NO_PRUNING, **environment)
        process = waiting.begin()
        assert wait_for(lambda: epochs_told(waiting.store) >= EPOCHS, process), waiting.shown
        take_away(proxy, rounds(3, 60))
        code = ended(waiting, process)
        figures["refused connections"] = proxy.counts["down"]
    assert code == 0, waiting.shown[-3000:]
    assert rows(waiting.store) == expected
    assert len(sweep_in(waiting.store).store.folders(sweep_in(waiting.store).key("attempts"))) == 1
