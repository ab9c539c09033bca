"""The book of a sweep: every trial it heard of ends in a row, and the ledger says the same."""

import time
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from cifar_dist.cluster.book import Book
from cifar_dist.cluster.tune import sweep_trials
from cifar_dist.counts import Counts
from cifar_dist.errors import RefusedError, RunError, StoreError
from cifar_dist.runs import Goal, Ledger, Sweep
from cifar_dist.search import Asha, Rungs, Space
from cifar_dist.store import open_store
from cifar_dist.tally import Tally
from tests.ledgers import trial_logs
from tests.tiny import a_record, make_job
from tests.watchers import Silent

LR = "recipe.optimizer.lr"
pytestmark = pytest.mark.filterwarnings("default")


class _Trial:
    """What Tune tells of a trial."""

    def __init__(self, number: int) -> None:
        self.config = {"number": number}
        self.last_result: dict[str, Any] = {}

    def get_pickled_error(self) -> Exception:
        return ValueError("first line\nlast line")


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return Sweep(open_store(str(tmp_path)), "sweeps/tiny-00000000")


@pytest.fixture
def book(sweep: Sweep) -> Book:
    made = Book(3, Rungs(Asha(), 3), Ledger(sweep, sweep.claim_attempt()), Silent())
    for number, overrides in enumerate([{}, {LR: 0.1}, {LR: 0.2}]):
        made.begin(number, overrides)
    return made


def tell(book: Book, trial: _Trial, *epochs: int) -> None:
    records = [
        a_record(epoch, 1.0 / epoch).model_dump() | {"validation_accuracy": epoch / 4}
        for epoch in epochs
    ]
    result = {"state": "running", "records": records, "start_seconds": 0.5}
    trial.last_result = {**result, "epoch": epochs[-1], "validation_accuracy": 0.5}
    book.on_trial_result(0, [], trial, result)


def test_a_trial_that_lost_its_worker_keeps_its_epochs_once_each(book: Book) -> None:
    trial = _Trial(0)
    book.on_trial_start(0, [], trial)
    tell(book, trial, 1)
    tell(book, trial, 2)
    book.on_trial_recover(0, [], trial)
    book.on_trial_start(0, [], trial)
    tell(book, trial, 1, 2, 3)
    book.on_trial_complete(0, [], trial)
    row = book.tally.row(0)
    assert [record.epoch for record in row.history] == [1, 2, 3]
    assert row.start_seconds is None


def test_a_trial_runs_from_when_it_has_its_worker_and_a_lost_one_is_counted(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, trial = Counts(), _Trial(0)
    monkeypatch.setattr("cifar_dist.cluster.book.COUNTS", counts)

    def running() -> int:
        return book.standing.reading().trials["running"]

    assert running() == 0
    book.on_trial_start(0, [], trial)
    assert (running(), counts.own()["restarts"]) == (1, 0)
    book.on_trial_recover(0, [], trial)
    assert (running(), counts.own()["restarts"]) == (0, 1)
    book.on_trial_start(0, [], trial)
    assert running() == 1


def test_what_a_spent_budget_cuts_short_is_pruned_and_what_never_told_an_epoch_is_not(
    book: Book, sweep: Sweep
) -> None:
    for number in range(2):
        book.on_trial_start(0, [], _Trial(number))
    tell(book, _Trial(1), 1)
    book.ended_by = "the sweep's budget of 9 s was spent"
    book.close()
    row = book.tally.row(1)
    assert (book.ended, row.state, row.reason) == (1, "pruned", book.ended_by)
    states = {number: log.state for number, log in trial_logs(sweep).items()}
    assert states == {0: "started", 1: "pruned", 2: "started"}


def test_an_interrupted_sweep_closes_no_trial_that_was_running(book: Book, sweep: Sweep) -> None:
    book.on_trial_start(0, [], _Trial(0))
    tell(book, _Trial(0), 1)
    book.interrupted, book.ended_by = True, "the sweep's budget of 9 s was spent"
    book.close()
    assert book.ended == 0
    assert trial_logs(sweep)[0].state == "started"


def test_a_trial_is_stored_when_it_is_asked_for_before_anything_of_it_exists(
    book: Book, sweep: Sweep
) -> None:
    assert {n: log.overrides for n, log in trial_logs(sweep).items()} == {
        0: {},
        1: {LR: 0.1},
        2: {LR: 0.2},
    }
    assert (book.asked, book.open) == (3, 3)


def test_what_the_sampler_is_told_follows_from_the_ledger(book: Book, sweep: Sweep) -> None:
    trial = _Trial(1)
    book.on_trial_start(0, [], trial)
    tell(book, trial, 1, 2)
    book.on_trial_complete(0, [], trial)
    assert Tally(sweep.events()).observations == book.tally.observations
    assert [(o.trial, o.state, dict(o.values)) for o in book.tally.observations] == [
        (0, "running", {}),
        (1, "pruned", {1: 0.25, 2: 0.5}),
        (2, "running", {}),
    ]
    assert book.open == 2


def test_an_error_of_the_store_is_kept_as_it_is(book: Book, sweep: Sweep) -> None:
    sweep.claim_attempt()
    with pytest.raises(RefusedError):
        book.on_trial_error(0, [], _Trial(0))
    assert isinstance(book.error, RefusedError)


def test_a_trial_that_never_began_is_in_the_ledger_with_what_makes_it(
    book: Book, sweep: Sweep
) -> None:
    book.on_trial_error(0, [], _Trial(2))
    assert book.tally.row(2).reason == "ValueError: last line"
    log = trial_logs(sweep)[2]
    assert (log.state, log.overrides) == ("failed", {LR: 0.2})


@pytest.mark.parametrize(("spent", "is_over"), [(0.0, True), (80.0, False)])
def test_a_budget_counts_what_all_attempts_took_since_the_newest_extension(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, spent: float, is_over: bool
) -> None:
    job = make_job().model_dump(mode="json")
    searched = {LR: {"uniform": [0.01, 0.1]}}
    asked = {"description": "d", "job": job, "trials": 2, "space": searched}
    space = Space.parse({**asked, "budget": {"seconds": 60}})
    sweep.create({"space": {}})
    sweep.extend(Goal(1, trials=2, added=1, spent_seconds=spent))
    earlier = Ledger(sweep, sweep.claim_attempt(), started=time.monotonic() - 100)
    earlier.open(cpus=1.0, gpus=0.0)
    over: list[bool] = []

    def search(*asked: Any) -> None:
        *_, stopper = asked
        over.append(stopper.stop_all())

    monkeypatch.setattr("cifar_dist.cluster.tune._search", search)
    with pytest.raises(RunError, match="raise budget"):
        sweep_trials(space, sweep, Silent(), Event())
    assert over == [is_over]


def test_a_trial_whose_storage_is_away_ends_the_sweep_and_is_not_over(
    book: Book, sweep: Sweep
) -> None:
    trial = _Trial(0)
    tell(book, trial, 1)
    trial.last_result |= {"state": "interrupted", "reason": "the bucket is away"}
    book.on_trial_complete(0, [], trial)
    assert isinstance(book.error, StoreError)
    assert str(book.error) == "the bucket is away"
    with pytest.raises(StoreError, match="away"):
        tell(book, _Trial(1), 1)
    assert Tally(sweep.events()).unfinished == [0, 1, 2]
