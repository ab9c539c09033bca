"""Trials on several workers: the rows of a lone worker's, warm workers, and nothing left behind."""

import signal
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch

from cifar_dist.cluster import tune
from cifar_dist.cluster.channel import Channel
from cifar_dist.cluster.trial import Trial
from cifar_dist.cluster.tune import sweep_trials
from cifar_dist.documents import TrialRow
from cifar_dist.errors import DeviceError
from cifar_dist.runs import Sweep
from cifar_dist.search import Space
from cifar_dist.session import recipe_data
from cifar_dist.store import open_store
from cifar_dist.sweep import find_sweep, sweep_document
from tests.clusters import eventually, held, interrupted
from tests.ledgers import trial_logs
from tests.tiny import make_job
from tests.trials import BUGGY, LOST, FailingGroup
from tests.watchers import Silent

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("ray_address"),
    pytest.mark.filterwarnings("default"),  # Ray's own are its makers' business
]

TRIALS, EPOCHS = 9, 4


def space_of(store: Path, **placement: Any) -> Space:
    job = make_job(
        store=str(store),
        recipe__epochs=EPOCHS,
        recipe__model={"name": "lenet5", "dropout": 0.0},  # drawn by each rank for itself
        **{"placement__workers": 2, "placement__max_failures": 1, **placement},
    )
    return Space.parse(
        {
            "description": "most learning rates are far too low",
            "job": job.model_dump(mode="json"),
            "trials": TRIALS,
            "asha": {"grace_epochs": 1, "reduction_factor": 2},
            "space": {"recipe.optimizer.lr": {"choice": [1e-5, 1e-4, 1e-3, 3e-3, 0.03, 0.06, 1e4]}},
        }
    )


def sweep_of(space: Space) -> Sweep:
    facts = recipe_data(space.job).facts()
    sweep = find_sweep(open_store(space.job.store), space, "tiny", facts, again=False)
    sweep.create(sweep_document(space, facts))
    return sweep


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return sweep_of(space_of(tmp_path_factory.mktemp("nested")))


@pytest.fixture(scope="module")
def rows(sweep: Sweep) -> list[TrialRow]:
    space = Space.parse(sweep.document["space"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune, "GroupTrial", FailingGroup)
        return sweep_trials(space, sweep, Silent(), Event()).rows


def opened(sweep: Sweep) -> list[list[str]]:
    path = Path(sweep.document["space"]["job"]["store"]) / "opened"
    return [line.split() for line in path.read_text().splitlines()]


def alone(row: TrialRow, folder: Path) -> list[dict[str, Any]]:
    """Train a trial in this process, as far as the sweep did."""
    job = space_of(folder, placement__workers=1).job
    spec = {
        "job": job.model_dump(mode="json"),
        "sweep": "sweeps/alone",
        "rungs": [],
        "channel": "sweeps/alone/0",
    }
    trial = Trial.__new__(Trial)  # without what Tune sets up round it
    trial.setup({"number": row.trial, "overrides": row.parameters, "asked_at": 0.0}, spec)
    told = [trial.step() for _ in range(row.epochs)]
    trial.cleanup()
    return [record for result in told for record in result["records"]]


def test_every_trial_ends_and_asha_stops_some_in_the_midst(rows: list[TrialRow]) -> None:
    assert [row.trial for row in rows] == list(range(TRIALS))
    pruned = [row for row in rows if row.state == "pruned"]
    assert len(pruned) >= 2
    assert all(0 < row.epochs < EPOCHS and "ASHA" in (row.reason or "") for row in pruned)
    assert {row.epochs for row in rows if row.state == "finished"} == {EPOCHS}


def test_two_workers_give_the_rows_of_one(
    rows: list[TrialRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Channel, "stop_requested", lambda self: False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the workers had: sums of more round otherwise, and that grows
    for row in rows:
        expected = alone(row, tmp_path) if row.history else []
        assert len(expected) == len(row.history)
        for record, other in zip(row.history, expected, strict=True):
            assert record.train_loss == pytest.approx(other["train_loss"], rel=1e-3)
            assert record.validation_loss == pytest.approx(other["validation_loss"], rel=1e-3)
    torch.set_num_threads(threads)


def test_a_stopped_trial_keeps_what_it_committed_and_trained_no_epoch_more(
    sweep: Sweep, rows: list[TrialRow]
) -> None:
    for row in rows:
        run = sweep.trial(row.trial)
        if row.state != "failed":
            best, newest = run.best(), run.checkpoints()[0]
            assert best is not None
            assert (best.epoch, newest.epoch) == (row.best_epoch, row.epochs)
            assert (trial_logs(sweep)[row.trial].state, newest.world_size) == (row.state, 2)


def test_workers_are_kept_from_trial_to_trial_until_one_of_them_fails(
    sweep: Sweep, rows: list[TrialRow]
) -> None:
    processes: dict[str, list[int]] = {}
    for number, process in opened(sweep):
        processes.setdefault(process, []).append(int(number))
    # One group ended by the bug, one by the loss, one by the sweep's end; two workers each.
    assert len(processes) == 6
    assert len(rows) == TRIALS


def test_a_trial_whose_worker_is_lost_goes_on_and_one_that_fails_is_not_tried_again(
    sweep: Sweep, rows: list[TrialRow]
) -> None:
    assert rows[BUGGY].reason == "KeyError: 'momentum'"
    assert rows[LOST].state != "failed"
    numbers = [int(number) for number, _ in opened(sweep)]
    counts = {number: numbers.count(number) for number in range(TRIALS)}
    assert counts == {number: 4 if number == LOST else 2 for number in range(TRIALS)}


def test_a_diverged_trial_says_in_which_epoch(rows: list[TrialRow]) -> None:
    for row in rows:
        if row.parameters.get("recipe.optimizer.lr") == 1e4 and row.trial != BUGGY:
            assert (row.state, row.reason) == (
                "failed",
                "diverged in epoch 1: its loss is not finite",
            )


@pytest.mark.usefixtures("rows")
def test_a_sweep_leaves_no_worker_no_reservation_and_no_actor() -> None:
    assert eventually(lambda: held() == ["0 CPUs"]), held()


def test_a_trial_that_fits_nowhere_is_refused_before_anything_begins(tmp_path: Path) -> None:
    space = space_of(tmp_path, placement__workers=3)
    sweep = sweep_of(space)
    with pytest.raises(DeviceError, match="needs 3 CPUs but the cluster has 2"):
        sweep_trials(space, sweep, Silent(), Event())
    assert not list(sweep.events())


def test_sigterm_commits_and_counts_as_a_preemption(tmp_path: Path) -> None:
    space, folder = tmp_path / "space.yaml", tmp_path / "store"
    space.write_text(space_of(folder).model_dump_json(exclude={"asha"}), "utf-8")
    options = ["--set", "recipe.epochs=2000", "--store", str(folder), "--trials", "3"]
    command = ["tune", str(space), *options]
    code, shown = interrupted(command, lambda: any(folder.rglob("best/*")), signal.SIGTERM)
    assert code == 75, shown
    assert "Traceback" not in shown
    assert eventually(lambda: held() == ["0 CPUs"]), held()
    (found,) = (folder / "sweeps").iterdir()
    sweep = Sweep(open_store(str(folder)), f"sweeps/{found.name}")
    assert {number: log.state for number, log in trial_logs(sweep).items()} == {0: "started"}
    told, newest = trial_logs(sweep)[0].epochs, sweep.trial(0).checkpoints()[0]
    assert newest.epoch >= max(told, default=1), "it commits before it ends"
