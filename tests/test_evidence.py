"""Predictions and chosen images: what they say of logits, and that files give them back."""

from pathlib import Path

import numpy as np
import pytest

from cifar_dist.evidence import (
    CONFIDENT,
    CORRECT,
    WRONG,
    Predictions,
    galleries,
    load_predictions,
    save_predictions,
    shown,
)
from tests.evidences import predictions

PART = predictions("test", np.arange(400) % 10)


def test_predictions_survive_their_file(tmp_path: Path) -> None:
    parts = [predictions("validation", np.arange(30) % 10), PART]
    save_predictions(tmp_path / "p.npz", parts)
    found = load_predictions(tmp_path / "p.npz")
    assert list(found) == ["validation", "test"]
    for part in parts:
        assert np.array_equal(found[part.split].logits, part.logits)
        assert np.array_equal(found[part.split].labels, part.labels)


def test_probabilities_losses_and_hits_belong_together() -> None:
    own = PART.probabilities[np.arange(len(PART)), PART.labels]
    assert PART.losses == pytest.approx(-np.log(own))
    assert PART.probabilities.sum(1) == pytest.approx(1.0)
    assert PART.confidence == pytest.approx(PART.probabilities.max(1))
    assert PART.is_correct.sum() == sum(PART.predicted == PART.labels)


def test_large_logits_neither_overflow_nor_lose_their_loss() -> None:
    part = Predictions("test", np.array([[5e4, -5e4]], np.float32), np.array([1]))
    assert part.losses.tolist() == [1e5]
    assert part.is_finite


def test_galleries_show_what_they_say_and_depend_on_the_seed_alone() -> None:
    first, again, other = galleries(PART, 0), galleries(PART, 0), galleries(PART, 1)
    assert PART.is_correct[first[CORRECT]].all()
    assert not PART.is_correct[first[WRONG]].any()
    assert all(len(numbers) == len(set(numbers)) == 20 for numbers in first.values())
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first[CORRECT], other[CORRECT])


def test_the_most_confident_mistakes_come_first() -> None:
    surest = galleries(PART, 0)[CONFIDENT]
    wrong = np.sort(PART.confidence[~PART.is_correct])[::-1]
    assert PART.confidence[surest] == pytest.approx(wrong[:20])


def test_galleries_of_a_model_without_mistakes_are_shorter() -> None:
    labels = np.arange(6)
    perfect = Predictions("test", np.eye(6, 10, dtype=np.float32), labels)
    chosen = galleries(perfect, 0)
    assert [len(chosen[name]) for name in (CORRECT, WRONG, CONFIDENT)] == [6, 0, 0]
    assert shown(chosen).tolist() == labels.tolist()
