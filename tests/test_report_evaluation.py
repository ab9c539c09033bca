"""Every reported metric is scikit-learn's on the same predictions, and counts add up."""

import math

import numpy as np
import pytest
from sklearn import metrics

from cifar_dist.evidence import Predictions
from cifar_dist.report.evaluation import evaluated
from tests.evidences import NAMES, predictions

EXACT = 1e-12
ROWS = list(range(10))


@pytest.fixture(scope="module", params=[0, 1, 2])
def drawn(request: pytest.FixtureRequest) -> Predictions:
    """Draw uneven classes; in one case the last is never predicted, in one it has no image."""
    labels = np.random.default_rng(request.param).integers(0, 10 - request.param // 2, 1500)
    found = predictions("test", labels, request.param)
    if request.param == 1:
        found.logits[:, 9] = -20.0
    return found


def test_counts_are_scikit_learns(drawn: Predictions) -> None:
    result = evaluated(drawn, NAMES)
    expected = metrics.confusion_matrix(drawn.labels, drawn.predicted, labels=ROWS)
    assert result.confusion_matrix == expected.tolist()
    for row, counts in zip(
        result.per_class,
        metrics.multilabel_confusion_matrix(drawn.labels, drawn.predicted, labels=ROWS),
        strict=True,
    ):
        assert [[row.tn, row.fp], [row.fn, row.tp]] == counts.tolist()
        assert row.tp + row.fp + row.tn + row.fn == len(drawn)


def test_ratios_are_scikit_learns(drawn: Predictions) -> None:
    result = evaluated(drawn, NAMES)
    for rows, average in ((result.per_class, None), ([result.macro], "macro")):
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(
            drawn.labels, drawn.predicted, labels=ROWS, average=average, zero_division=0
        )
        assert [row.precision for row in rows] == pytest.approx(np.atleast_1d(precision), abs=EXACT)
        assert [row.recall for row in rows] == pytest.approx(np.atleast_1d(recall), abs=EXACT)
        assert [row.f1 for row in rows] == pytest.approx(np.atleast_1d(f1), abs=EXACT)
    for number, row in enumerate(result.per_class):
        is_class = drawn.labels == number, drawn.predicted == number
        assert row.accuracy == pytest.approx(metrics.accuracy_score(*is_class), abs=EXACT)
        specificity = metrics.recall_score(*is_class, pos_label=0, zero_division=0)
        assert row.specificity == pytest.approx(specificity, abs=EXACT)


def test_accuracy_loss_and_top_2_are_scikit_learns(drawn: Predictions) -> None:
    result, shares = evaluated(drawn, NAMES), drawn.probabilities
    accuracy = metrics.accuracy_score(drawn.labels, drawn.predicted)
    loss = metrics.log_loss(drawn.labels, shares, labels=ROWS)
    top2 = metrics.top_k_accuracy_score(drawn.labels, shares, k=2, labels=ROWS)
    assert result.score.accuracy == pytest.approx(accuracy, abs=EXACT)
    assert result.score.loss == pytest.approx(loss, abs=EXACT)
    assert result.top2 == pytest.approx(top2, abs=EXACT)


def test_the_most_confused_pairs_are_the_largest_cells(drawn: Predictions) -> None:
    result = evaluated(drawn, NAMES)
    cells = np.array(result.confusion_matrix) * (1 - np.eye(10, dtype=int))
    largest = np.sort(cells, axis=None)[::-1][:10]
    assert [pair.images for pair in result.confused] == largest.tolist()
    for pair in result.confused:
        assert cells[NAMES.index(pair.true), NAMES.index(pair.predicted)] == pair.images


def test_an_accuracy_comes_with_its_interval(drawn: Predictions) -> None:
    result = evaluated(drawn, NAMES)
    assert result.interval is not None
    low, high = result.interval
    assert low < result.score.accuracy < high


def test_logits_that_are_not_finite_leave_counts_and_no_loss() -> None:
    found = predictions("test", np.arange(50) % 10)
    found.logits[3, 4] = math.inf
    result = evaluated(found, NAMES)
    assert result.score.loss is result.calibration is None
    assert sum(map(sum, result.confusion_matrix)) == 50
