"""The winner of a sweep with further seeds: its arithmetic, its runs and what is kept of it."""

from pathlib import Path
from typing import Any

import pytest

from cifar_dist.api import tune
from cifar_dist.api.confirm import check_confirmation, confirm_sweep
from cifar_dist.api.notebook import follower
from cifar_dist.api.run import run_job
from cifar_dist.api.sweep import run_sweep
from cifar_dist.cli.terminal import Terminal
from cifar_dist.cluster.tune import Trials
from cifar_dist.config import Job, patched
from cifar_dist.documents import Confirmation, Score, TrainDocument, TuneDocument
from cifar_dist.errors import ConfigError, InterruptedRunError
from cifar_dist.outcome import start_run
from cifar_dist.report.confirmation import confirmation, confirmed_sentences
from cifar_dist.report.results import sweep_results
from cifar_dist.runs import Run, Sweep, list_runs
from cifar_dist.scoring import Scores, kept
from cifar_dist.search import Space
from cifar_dist.session import recipe_data
from cifar_dist.store import open_store
from tests.result_documents import run_document, sweep_document, trial
from tests.tiny import make_job

LR = "recipe.optimizer.lr"
ROWS = [
    trial(0, "pruned", 1, parameters={}, validation_accuracy=0.5),
    trial(1, "finished", 2, parameters={LR: 0.05}, validation_accuracy=0.6),
    trial(2, "failed", 0, parameters={LR: 0.09}),
]
QUIET = follower(False)


def compared(*accuracies: list[float | None]) -> Confirmation:
    """Give a confirmation of trials 0, 1 …, the first the winner, by their accuracies."""
    results = {n: [(f"r{n}", value) for value in found] for n, found in enumerate(accuracies)}
    return confirmation([1, 2, 3][: len(accuracies[0])], results)


def said(found: Confirmation) -> str:
    document = sweep_document(confirmed=found)
    return " ".join(confirmed_sentences(document))


def test_a_mean_has_students_interval() -> None:
    winner, _ = compared([0.50, 0.52, 0.54], [0.5, 0.5, 0.5]).trials
    # t for two degrees of freedom is 4.3027, the standard error 0.02 / sqrt(3).
    assert winner.mean == pytest.approx(0.52)
    assert winner.half_width == pytest.approx(4.302653 * 0.02 / 3**0.5, rel=1e-6)


def test_leads_are_taken_within_a_seed_and_hold_for_all_rivals_at_once() -> None:
    found = compared([0.5, 0.6, 0.7], [0.4, 0.5, 0.6], [0.39, 0.5, 0.61])
    first, second = found.gaps
    assert (first.rival, first.half_width) == (1, pytest.approx(0.0, abs=1e-12))
    # With two rivals each interval is one of 97.5 %, whose t is 6.2053.
    assert second.half_width == pytest.approx(6.205347 * 0.01 / 3**0.5, rel=1e-6)


@pytest.mark.parametrize(
    ("accuracies", "winner", "words"),
    [
        (([0.6, 0.61], [0.5, 0.51]), "stands", "The winner stands: it leads every rival"),
        (([0.5, 0.51], [0.6, 0.61]), "falls", "does not stand: trial 1 leads trial 0 by 10.0"),
        (([0.5, 0.6], [0.55, 0.51]), "open", "stays open: its lead over trial 1 is 2.0 ±"),
        (([0.55, 0.51], [0.5, 0.6]), "open", "stays open: trial 1 is ahead by 2.0 ±"),
        (([0.5, None], [0.5, 0.5]), "falls", "trial 0 diverged 1 time."),
        (([0.6, 0.61],), "open", "trial 0 reaches 60.50 % ± 6.4 points on average"),
        (([0.6, 0.61], [0.5, None]), "open", "trial 0 reaches"),
    ],
)
def test_whether_a_winner_stands_is_said_in_words(accuracies: Any, winner: str, words: str) -> None:
    found = compared(*accuracies)
    assert found.winner == winner
    assert words in said(found)


def test_the_text_report_has_every_seed() -> None:
    text = sweep_results(sweep_document(confirmed=compared([0.6, 0.61], [0.5, None])))
    rows = [line.split() for line in text.splitlines()]
    assert ["0", "60.50", "%", "±", "6.4", "points", "60.00", "%", "61.00", "%"] in rows
    assert ["1", "diverged", "50.00", "%", "–"] in rows


@pytest.fixture
def space(tmp_path: Path) -> Space:
    """Give a space of three trials around the tiny job."""
    job = make_job(store=str(tmp_path / "store"), recipe__epochs=1).model_dump(mode="json")
    searched = {LR: {"uniform": [0.01, 0.1]}}
    return Space.parse({"description": "d", "job": job, "trials": 3, "space": searched})


@pytest.fixture
def swept(space: Space, monkeypatch: pytest.MonkeyPatch) -> TuneDocument:
    """Give a finished sweep whose second trial won."""
    known = run_document()
    trials = Trials(ROWS, sweep_document().cost)
    monkeypatch.setattr("cifar_dist.cluster.tune.sweep_trials", lambda *_: trials)
    monkeypatch.setattr("cifar_dist.sweep.score_winner", lambda *_: Scores(None, known.test))
    return run_sweep(space, {}, QUIET)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Train runs in no time, to 40 % plus their seed in hundredths; gives their jobs."""
    jobs: list[Job] = []

    def run(job: Job, *_: object, resume: bool) -> TrainDocument:
        assert resume, "what was committed before is not thrown away"
        jobs.append(job)
        accuracy = 0.4 + job.recipe.seed / 100
        score = Score(split="validation", images=100, correct=40, accuracy=accuracy, loss=1.0)
        return run_document(run=f"{job.title}-{len(jobs):08d}", validation=score)

    monkeypatch.setattr("cifar_dist.api.confirm.run_job", run)
    return jobs


def test_the_best_are_trained_again_under_the_sweeps_name_with_seeds_it_did_not_use(
    space: Space, swept: TuneDocument, trained: list[Job]
) -> None:
    document = confirm_sweep(space.job, swept, QUIET, 5, 2)
    found = document.confirmed
    assert found is not None
    assert [row.trial for row in found.trials] == [1, 0], "best first, failed ones never"
    assert [(job.recipe.seed, job.recipe.optimizer.options["lr"]) for job in trained] == [
        (seed, lr) for seed in (1, 2) for lr in (0.05, space.job.recipe.optimizer.options["lr"])
    ]
    assert {job.title for job in trained} == {f"{swept.sweep}-confirm"}
    assert not any(job.test for job in trained)
    assert found.trials[0].accuracies == [pytest.approx(0.41), pytest.approx(0.42)]


def test_what_was_confirmed_is_shown_again_and_reported_and_trained_once(
    space: Space, swept: TuneDocument, trained: list[Job]
) -> None:
    document = confirm_sweep(space.job, swept, QUIET, 2, 2)
    again = run_sweep(space, {}, QUIET)
    assert again == document
    assert confirm_sweep(space.job, again, QUIET, 2, 2) == document
    assert len(trained) == 4
    sweep = Sweep(open_store(space.job.store), f"sweeps/{swept.sweep}")
    report = sweep.report()
    assert report is not None and "000002" in report.folder
    more = confirm_sweep(space.job, again, QUIET, 2, 3)
    assert run_sweep(space, {}, QUIET) == more
    assert more.confirmed is not None and more.confirmed.seeds == [1, 2, 3]


def test_a_confirmation_that_is_interrupted_goes_on_where_it_was(
    space: Space, swept: TuneDocument, trained: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = run_document(state="interrupted")
    monkeypatch.setattr("cifar_dist.api.confirm.run_job", lambda *_, **__: cut)
    with pytest.raises(InterruptedRunError, match="ask for the same confirmation again"):
        confirm_sweep(space.job, swept, QUIET, 2, 2)
    assert run_sweep(space, {}, QUIET).confirmed is None


def test_a_run_that_diverges_counts_against_its_configuration(
    space: Space, swept: TuneDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = run_document(state="failed")
    monkeypatch.setattr("cifar_dist.api.confirm.run_job", lambda *_, **__: lost)
    document = confirm_sweep(space.job, swept, QUIET, 1, 2)
    assert document.confirmed is not None
    assert (document.confirmed.winner, document.confirmed.trials[0].mean) == ("falls", None)


def test_a_confirmed_configuration_is_an_ordinary_run_that_can_be_found(
    space: Space, swept: TuneDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(document: TrainDocument, folder: Path, *_: object) -> None:
        (folder / "results.txt").write_text(document.run)

    monkeypatch.setattr("cifar_dist.outcome.write_run", write)
    document = confirm_sweep(space.job, swept, QUIET, 1, 2)
    assert document.confirmed is not None
    runs = document.confirmed.trials[0].runs
    assert len(set(runs)) == 2
    store = open_store(space.job.store)
    found = [row.id for row in list_runs(store)]
    assert set(runs) < set(found)
    result = Run(store, f"runs/{runs[0]}").finished
    assert result is not None and result["test"] is None
    assert set(kept(Run(store, f"runs/{runs[0]}")).predictions) == {"validation"}


def test_an_ordinary_run_of_the_same_name_says_that_it_left_the_test_split_out(
    space: Space, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run_document(test=None).model_dump(mode="json")
    job = space.job
    start_run(open_store(job.store), job, recipe_data(job).facts(), again=False, resume=False)
    monkeypatch.setattr(Run, "finished", result)
    for test, said_so in ((True, True), (False, False)):
        run_job(patched(job, {"test": test}), Terminal())
        assert ("it left the test split out" in capsys.readouterr().err) == said_so


@pytest.mark.parametrize(
    ("top", "seeds", "words"),
    [(None, 3, "give --confirm K"), (0, None, "at least 1"), (2, 1, "at least 2")],
)
def test_numbers_that_compare_nothing_are_refused(
    top: int | None, seeds: int | None, words: str, space: Space
) -> None:
    with pytest.raises(ConfigError, match=words):
        check_confirmation(top, seeds)
    with pytest.raises(ConfigError, match=words):
        tune(space, confirm=top, seeds=seeds)


def test_without_validation_images_there_is_nothing_to_confirm_by(
    space: Space, swept: TuneDocument
) -> None:
    data = swept.data.model_copy(update={"validation_images": 0})
    with pytest.raises(ConfigError, match="no validation split"):
        confirm_sweep(space.job, swept.model_copy(update={"data": data}), QUIET, 1, 2)
