"""The verdict on over-fitting follows from a history by the rule that it states."""

import pytest

from cifar_dist.documents import EpochRecord
from cifar_dist.report.overfitting import overfitting
from tests.result_documents import record


def epoch(number: int, train: float, validation: float, losses: tuple[float, float]) -> EpochRecord:
    changes = {"train_accuracy": train, "validation_accuracy": validation}
    changes |= {"train_loss": losses[0], "validation_loss": losses[1]}
    return record(number).model_copy(update=changes)


KEPT = epoch(1, 0.72, 0.70, (0.9, 0.9))
LATER = {
    "none": epoch(2, 0.74, 0.70, (0.8, 0.95)),
    "later": epoch(2, 0.97, 0.72, (0.1, 1.5)),
}


@pytest.mark.parametrize("verdict", LATER)
def test_a_history_is_judged_by_its_last_epoch(verdict: str) -> None:
    found = overfitting([KEPT, LATER[verdict]], 1)
    assert found is not None
    assert found.verdict == verdict
    assert found.gap == pytest.approx(0.02)
    assert found.final_gap == pytest.approx(LATER[verdict].train_accuracy - 0.7, abs=0.03)
    assert "10 points" in found.rule


def test_losses_that_part_count_even_where_the_gap_is_small() -> None:
    parted = overfitting([KEPT, epoch(2, 0.72, 0.70, (0.5, 1.2))], 1)
    both_worse = overfitting([KEPT, epoch(2, 0.72, 0.70, (1.1, 1.2))], 1)
    assert parted is not None
    assert both_worse is not None
    assert (parted.verdict, both_worse.verdict) == ("later", "none")


def test_weights_that_are_kept_may_be_over_fitted() -> None:
    found = overfitting([epoch(1, 0.9, 0.7, (0.2, 0.9))], 1)
    assert found is not None
    assert (found.verdict, found.gap) == ("kept", pytest.approx(0.2))


def test_regularized_training_below_validation_is_no_over_fitting() -> None:
    found = overfitting([epoch(1, 0.65, 0.72, (1.0, 0.8))], 1)
    assert found is not None
    assert (found.verdict, found.gap) == ("none", pytest.approx(-0.07))


def test_without_validation_there_is_no_verdict() -> None:
    assert overfitting([record(1, validated=False)], 1) is None
    assert overfitting([], 0) is None


def test_an_epoch_that_diverged_is_not_compared() -> None:
    diverged = record(2, None, validated=False)
    found = overfitting([KEPT, diverged], 1)
    assert found is not None
    assert found.verdict == "none"
