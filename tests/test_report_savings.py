"""What a sweep's report says of its cost: savings, replaced epochs and a trial's share."""

import pytest

from cifar_dist.documents import TrialShare
from cifar_dist.report.results import sweep_results
from cifar_dist.report.savings import savings
from cifar_dist.report.verdict import sweep_verdict
from tests.result_documents import record, sweep_document, trial


def test_savings_follow_from_the_time_of_each_trials_own_epochs() -> None:
    slow = [record(1).model_copy(update={"seconds": 10.0})]
    rows = [
        trial(0, "finished", 3),
        trial(1, "pruned", 1, history=slow, train_seconds=10.0),
        trial(2, "failed", 1),
    ]
    found = savings(sweep_document(trials=rows))
    assert found.spent_seconds == 7.5 + 10.0 + 2.5
    assert found.full_seconds == found.spent_seconds + 2 * 10.0
    assert found.share == pytest.approx(0.5)


def test_epochs_that_a_longer_training_replaced_count_against_the_savings() -> None:
    again = {"history": [record(1).model_copy(update={"seconds": 10.0})]}
    rows = [
        trial(0, "finished", 3, replaced_epochs=1, train_seconds=40.0, **again),
        trial(1, "pruned", 1, train_seconds=10.0, **again),
    ]
    document = sweep_document(trials=rows)
    found = savings(document)
    assert (found.spent_seconds, found.full_seconds) == (50.0, 60.0), "of three epochs each"
    cost = document.cost.model_copy(update={"epochs_run": 5, "epochs_replaced": 1})
    text = " ".join(sweep_verdict(document.model_copy(update={"cost": cost})))
    assert "5 of 12 epochs were run, 1 of them in trainings that a longer one replaced, " in text


def test_a_report_says_what_each_trial_got_of_a_machine() -> None:
    share = TrialShare(cpus=2, reason="1.60 × the speed of one", milliseconds={})
    text = sweep_results(sweep_document(trial_share=share))
    assert "each trial  2 CPUs: 1.60 × the speed of one" in text
