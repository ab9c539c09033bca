"""A sweep's frame around its trials: found again, its winner retrained, nothing half published."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.api import tune
from cifar_dist.api.notebook import follower
from cifar_dist.api.sweep import SHOWN, Again, check_won, continue_sweep, named, run_sweep
from cifar_dist.cluster.tune import Trials
from cifar_dist.config import Job
from cifar_dist.documents import TrainDocument, TrialRow, TuneDocument
from cifar_dist.errors import ConfigError, InterruptedRunError, RefusedError, RunError
from cifar_dist.runs import Ledger, Run, Sweep, list_runs
from cifar_dist.scoring import Scores
from cifar_dist.search import Space
from cifar_dist.store import open_store
from tests.result_documents import run_document, sweep_document, trial
from tests.tiny import make_job

LR = "recipe.optimizer.lr"
ROWS = [
    trial(0, "finished", 1, parameters={}),
    trial(1, "finished", 2, parameters={LR: 0.05}),
]
QUIET = follower(False)
Sweeps = Callable[..., TuneDocument]


@pytest.fixture
def space(tmp_path: Path) -> Space:
    """Give a space of two trials around the tiny job."""
    job = make_job(store=str(tmp_path / "store"), recipe__epochs=1).model_dump(mode="json")
    searched = {LR: {"uniform": [0.01, 0.1]}}
    return Space.parse({"description": "d", "job": job, "trials": 2, "space": searched})


@pytest.fixture(autouse=True)
def scored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Name the trials whose checkpoint, which these tests do without, is scored."""
    found: list[str] = []
    known = run_document()

    def score(run: Run, *_: object) -> Scores:
        found.append(run.prefix)
        return Scores(known.validation_evaluation, known.test)

    monkeypatch.setattr("cifar_dist.sweep.score_winner", score)
    return found


@pytest.fixture
def sweep(space: Space, monkeypatch: pytest.MonkeyPatch) -> Sweeps:
    """Give a sweep as a function of its trials and of what changes the winner's retraining."""

    def call(rows: list[TrialRow], again: Again = SHOWN, **final: object) -> TuneDocument:
        trials = Trials(rows, sweep_document().cost)
        monkeypatch.setattr("cifar_dist.cluster.tune.sweep_trials", lambda *_: trials)
        changes = {f"recipe.{key}": value for key, value in final.items()}
        return run_sweep(space, changes, QUIET, again)

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


@pytest.fixture
def retrained(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Retrain winners in no time; gives the jobs."""
    jobs: list[Job] = []

    def train(job: Job, *_: object, resume: bool) -> TrainDocument:
        assert resume, "what was committed before is not thrown away"
        jobs.append(job)
        return run_document(run=f"{job.title}-0a1b2c3d")

    monkeypatch.setattr("cifar_dist.api.sweep.run_job", train)
    return jobs


def interrupt(*_: object, **__: object) -> Trials:
    raise InterruptedRunError("interrupted")


def sweep_of(space: Space) -> Sweep:
    store = open_store(space.job.store)
    (name,) = store.folders("sweeps")
    return Sweep(store, f"sweeps/{name}")


@pytest.fixture
def unfinished(space: Space, sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """Give a sweep that was interrupted, of which a retraining for 3 epochs was asked."""
    monkeypatch.setattr("cifar_dist.cluster.tune.sweep_trials", interrupt)
    with pytest.raises(InterruptedRunError):
        run_sweep(space, {"recipe.epochs": 3}, QUIET)
    return sweep_of(space)


def test_an_unfinished_sweep_is_refused_with_both_ways_out(
    unfinished: Sweep, sweep: Sweeps
) -> None:
    with pytest.raises(RefusedError, match=rf"`cifar-dist resume {unfinished.name}`.* --fresh"):
        sweep(ROWS)


def test_a_resumed_sweep_remembers_how_its_winner_is_retrained(
    unfinished: Sweep, sweep: Sweeps, retrained: list[Job]
) -> None:
    with pytest.raises(RefusedError, match="another retraining"):
        sweep(ROWS, Again(resume=True), epochs=4)
    document = sweep(ROWS, Again(resume=True))
    assert [job.recipe.epochs for job in retrained] == [3]
    assert document.winner_run == f"runs/{unfinished.name}-0a1b2c3d"
    assert continue_sweep(unfinished, QUIET, {}) == document


def test_a_sweep_goes_on_from_the_store_alone_where_it_is_told_to(
    unfinished: Sweep, space: Space, retrained: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Space] = []

    def runs(space: Space, *_: object) -> Trials:
        asked.append(space)
        return Trials(ROWS, sweep_document().cost)

    monkeypatch.setattr("cifar_dist.cluster.tune.sweep_trials", runs)
    continue_sweep(unfinished, QUIET, {"placement.concurrency": 3})
    stored = space.model_dump(exclude={"job"})
    assert asked[0].model_dump(exclude={"job"}) == stored
    assert asked[0].job.recipe == space.job.recipe
    assert asked[0].job.placement.concurrency == 3


def test_a_winner_comes_out_the_same_when_its_retraining_is_killed_in_between(
    sweep: Sweeps,
    space: Space,
    retrained: list[Job],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    whole = sweep(ROWS, epochs=3)
    other = space.changed({"store": str(tmp_path / "other")}, None)
    with monkeypatch.context() as patch:
        patch.setattr("cifar_dist.api.sweep.run_job", interrupt)
        with pytest.raises(InterruptedRunError):
            run_sweep(other, {"recipe.epochs": 3}, QUIET)
    resumed = continue_sweep(sweep_of(other), QUIET, {})
    same = {"best", "winner_run", "validation", "test", "trials", "finished"}
    assert resumed.model_dump(include=same) == whole.model_dump(include=same)


def test_a_changed_space_is_refused_path_by_path(unfinished: Sweep, space: Space) -> None:
    data = space.model_dump(mode="json")
    data["space"] = {LR: {"uniform": [0.02, 0.1]}}
    for again in (Again(resume=True), Again(extend=3)):
        with pytest.raises(RefusedError) as refused:
            run_sweep(Space.parse({**data, "trials": 5}), {}, QUIET, again)
        first, *lines, last = str(refused.value).splitlines()
        assert unfinished.name in first
        assert lines == [
            f"space.{LR}.uniform: [0.01, 0.1] -> [0.02, 0.1]",
            "trials: 2 -> 5",
        ]
        assert "--fresh" in last


def test_a_changed_space_beside_a_finished_sweep_is_another_sweep(
    sweep: Sweeps, space: Space
) -> None:
    sweep(ROWS)
    other = space.changed({"recipe.seed": 5}, None)
    assert run_sweep(other, {}, QUIET, Again(resume=True)).sweep != sweep_of_seed(space, 0)
    with pytest.raises(RefusedError, match=r"job.recipe.seed: [05] -> 6"):
        run_sweep(space.changed({"recipe.seed": 6}, None), {}, QUIET, Again(extend=1))


def sweep_of_seed(space: Space, seed: int) -> str:
    store = open_store(space.job.store)
    found = (Sweep(store, f"sweeps/{name}") for name in store.folders("sweeps"))
    return next(sweep.name for sweep in found if sweep.document["seed"] == seed)


def tell(sweep: Sweep, *overrides: dict[str, Any]) -> None:
    ledger = Ledger(sweep, sweep.claim_attempt())
    for number, values in enumerate(overrides):
        ledger.add("start", number, overrides=values)
    ledger.flush()


def test_an_extended_sweep_adds_trials_and_reads_the_test_split_for_a_new_winner_only(
    sweep: Sweeps, space: Space, scored: list[str]
) -> None:
    before = sweep(ROWS)
    found = sweep_of(space)
    tell(found, {}, {LR: 0.05})
    same = sweep([*ROWS, trial(2, "finished", 1, parameters={LR: 0.06})], Again(extend=1))
    assert (len(same.trials), same.winner_run, len(scored)) == (3, before.winner_run, 1)
    tell(found, {}, {LR: 0.05}, {LR: 0.06})
    rows = [*same.trials, trial(3, "finished", 3, parameters={LR: 0.07})]
    changed = sweep(rows, Again(extend=1))
    assert (changed.best, len(scored), found.goal.trials) == (3, 2, 4)
    assert sweep([]) == changed, "asked again, the newest is shown"
    assert found.recorded("result.json") == before.model_dump(mode="json")


def test_an_extension_that_is_cut_short_goes_on_and_is_not_made_twice(
    sweep: Sweeps, space: Space, retrained: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sweep(ROWS, epochs=2)
    found = sweep_of(space)
    tell(found, {}, {LR: 0.05})
    with monkeypatch.context() as patch:
        patch.setattr("cifar_dist.cluster.tune.sweep_trials", interrupt)
        with pytest.raises(InterruptedRunError):
            run_sweep(space, {}, QUIET, Again(extend=3))
    assert {row.state for row in list_runs(found.store) if row.kind == "sweeps"} == {"unfinished"}
    assert found.result == before.model_dump(mode="json"), "the winner so far can be fetched"
    document = sweep(ROWS, Again(resume=True, extend=3))
    assert found.goal.extension == 1
    assert found.goal.trials == 5
    assert document.winner_run == before.winner_run
    assert [job.recipe.epochs for job in retrained] == [2, 2], "as it was asked for at first"


def test_a_finite_space_is_extended_by_no_more_than_is_left(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = {LR: {"choice": [0.01, 0.02, 0.03, 0.05]}}  # the last is the job's own
    finite = Space.parse({**space.model_dump(mode="json"), "space": searched})
    trials = Trials(ROWS, sweep_document().cost)
    monkeypatch.setattr("cifar_dist.cluster.tune.sweep_trials", lambda *_: trials)
    run_sweep(finite, {}, QUIET)
    found = sweep_of(finite)
    tell(found, {}, {LR: 0.02})
    with pytest.raises(ConfigError, match="can have 2 more trials"):
        run_sweep(finite, {}, QUIET, Again(extend=3))
    run_sweep(finite, {}, QUIET, Again(extend=2))
    assert found.goal.trials == 4


@pytest.mark.parametrize(
    ("again", "message"),
    [
        ({"fresh": True, "resume": True}, "give one of them"),
        ({"fresh": True, "extend": 2}, "give one of them"),
        ({"extend": 0}, "at least 1"),
        ({"extend": 2}, "there is no sweep"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_created(
    again: dict[str, Any], message: str, space: Space, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        tune(space, progress=False, **again)
    assert not (tmp_path / "store" / "sweeps").exists()
