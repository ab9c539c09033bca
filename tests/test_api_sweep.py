"""A sweep's frame around its trials: found again, its winner retrained, nothing half published."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cifar_dist.api.notebook import follower
from cifar_dist.api.sweep import check_won, named, run_sweep
from cifar_dist.cluster.tune import Trials
from cifar_dist.documents import TrialRow, TuneDocument
from cifar_dist.errors import InterruptedRunError, RunError
from cifar_dist.search import Space
from tests.result_documents import run_document, sweep_document, trial
from tests.tiny import make_job

LR = "recipe.optimizer.lr"
ROWS = [
    trial(0, "finished", 1, parameters={}),
    trial(1, "finished", 2, parameters={LR: 0.05}),
]
Sweeps = Callable[..., TuneDocument]


@pytest.fixture
def space(tmp_path: Path) -> Space:
    """Give a space of two trials around the tiny job."""
    job = make_job(store=str(tmp_path / "store"), recipe__epochs=1).model_dump(mode="json")
    searched = {LR: {"uniform": [0.01, 0.1]}}
    return Space.parse({"description": "d", "job": job, "trials": 2, "space": searched})


@pytest.fixture
def sweep(space: Space, monkeypatch: pytest.MonkeyPatch) -> Sweeps:
    """Give a sweep as a function of its trials and of what changes the winner's retraining."""

    def call(rows: list[TrialRow], **final: object) -> TuneDocument:
        trials = Trials(rows, sweep_document().cost)
        monkeypatch.setattr("cifar_dist.cluster.tune.sweep_trials", lambda *_: trials)
        changes = {f"recipe.{key}": value for key, value in final.items()}
        return run_sweep(space, changes, follower(False))

    return call


def test_a_winner_is_retrained_as_a_run_of_the_sweeps_name(sweep: Sweeps) -> None:
    document = sweep(ROWS, epochs=2)
    assert document.best == 1
    assert document.winner_run is not None
    assert document.winner_run.startswith(f"runs/{document.sweep}-")
    assert document.test is not None
    assert sweep([], epochs=2) == document


def test_a_sweep_whose_retraining_was_cut_short_is_not_finished(
    sweep: Sweeps, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cut = run_document(state="interrupted")
    monkeypatch.setattr("cifar_dist.api.sweep.run_job", lambda *_, **__: cut)
    with pytest.raises(InterruptedRunError, match="go on with"):
        sweep(ROWS, epochs=2)
    assert not list((tmp_path / "store" / "sweeps").rglob("result.json"))


def test_a_sweep_without_a_winner_is_kept_and_is_an_error(sweep: Sweeps) -> None:
    document = sweep([trial(number, "failed", 0, parameters={}) for number in range(2)])
    assert (document.best, document.failed) == (None, 2)
    with pytest.raises(RunError, match="all 2 trials"):
        check_won(document)


def test_a_sweep_is_named_after_its_file_unless_its_job_has_a_name(space: Space) -> None:
    assert named(space, Path("My_Space.yaml")).job.title == "tiny"
    nameless = space.changed({"name": None}, None)
    assert named(nameless, Path("My_Space.yaml")).job.title == "my-space"
