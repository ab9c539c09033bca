"""Calibration: its error by hand, and a temperature that is fitted on validation alone."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_dist.evidence import Predictions, softmax
from cifar_dist.report.calibration import BINS, calibrated, temperature
from tests.evidences import predictions


def sure(shares: list[float], hits: list[bool]) -> Predictions:
    """Predict class 0 of two with these probabilities."""
    logits = [[np.log(share / (1 - share)), 0.0] for share in shares]
    labels = np.array([0 if hit else 1 for hit in hits])
    return Predictions("test", np.array(logits, np.float32), labels)


def well_calibrated(scale: float, seed: int = 0) -> Predictions:
    """Draw labels by the probabilities of logits, then stretch the logits."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0.0, 2.0, (6_000, 10))
    chances = softmax(logits).cumsum(1)
    labels: NDArray[np.int64] = (draw.random((6_000, 1)) > chances).sum(1)
    return Predictions("validation", (scale * logits).astype(np.float32), labels)


def test_the_error_matches_a_calculation_by_hand() -> None:
    found = calibrated(sure([0.91, 0.92, 0.55, 0.99], [True, False, True, True]), None)
    assert found is not None
    assert [part.images for part in found.bins] == [1, 2, 1]
    assert found.ece == pytest.approx((0.45 + 2 * abs(0.915 - 0.5) + 0.01) / 4, abs=1e-6)
    assert found.temperature is found.ece_scaled is None


def test_bins_are_of_one_width_and_hold_every_image() -> None:
    part = predictions("test", np.arange(400) % 10)
    found = calibrated(part, None)
    assert found is not None
    assert sum(bin_.images for bin_ in found.bins) == 400
    for bin_ in found.bins:
        assert bin_.high - bin_.low == pytest.approx(1 / BINS)
        assert bin_.low < bin_.confidence <= bin_.high + 1e-12
    hits = sum(bin_.accuracy * bin_.images for bin_ in found.bins)
    assert hits == pytest.approx(part.is_correct.sum())


@pytest.mark.parametrize("scale", [0.25, 1.0, 4.0])
def test_a_temperature_undoes_a_stretch(scale: float) -> None:
    assert temperature(well_calibrated(scale)) == pytest.approx(scale, rel=0.06)


def test_a_temperature_has_the_least_loss_of_its_neighbors() -> None:
    part = well_calibrated(2.5)
    fitted = temperature(part)

    def loss(by: float) -> float:
        return float(Predictions("validation", part.logits / by, part.labels).losses.mean())

    assert loss(fitted) < min(loss(0.99 * fitted), loss(1.01 * fitted))


def test_a_temperature_comes_from_validation_and_mends_the_test_split() -> None:
    validation, test = well_calibrated(3.0), well_calibrated(3.0, seed=1)
    found = calibrated(test, validation)
    assert found is not None
    assert found.temperature == temperature(validation) != temperature(test)
    assert found.ece_scaled is not None
    assert found.ece_scaled < 0.03
    assert found.ece > 0.1


def test_without_a_mistake_a_temperature_stays_within_its_bounds() -> None:
    perfect = sure([0.9] * 5, [True] * 5)
    assert temperature(perfect) == pytest.approx(0.01)
    worst = sure([0.9] * 5, [False] * 5)
    assert temperature(worst) == pytest.approx(100.0)
