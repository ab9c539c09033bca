"""McNemar's test against sums over every outcome, and the corrections beside it."""

import math

import pytest

from cifar_dist.report.mcnemar import exact_p, holm, mid_p, paired_interval

PAIRS = [(0, 0), (0, 1), (1, 0), (3, 3), (0, 6), (2, 9), (12, 5), (40, 41)]


def probability(heads: int, tosses: int) -> float:
    return math.comb(tosses, heads) / 2**tosses


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_the_exact_value_sums_all_divisions_that_are_as_uneven(one: int, other: int) -> None:
    tosses = one + other
    uneven = [k for k in range(tosses + 1) if abs(2 * k - tosses) >= abs(one - other)]
    assert exact_p(one, other) == pytest.approx(sum(probability(k, tosses) for k in uneven))


@pytest.mark.parametrize(("one", "other"), PAIRS[1:])
def test_the_mid_value_counts_the_seen_division_by_half(one: int, other: int) -> None:
    tosses = one + other
    uneven = {k: abs(2 * k - tosses) for k in range(tosses + 1)}
    seen = abs(one - other)
    more = sum(probability(k, tosses) for k in uneven if uneven[k] > seen)
    equal = sum(probability(k, tosses) for k in uneven if uneven[k] == seen)
    assert mid_p(one, other) == pytest.approx(more + equal / 2)
    assert mid_p(one, other) <= exact_p(one, other)


def test_two_that_never_differ_show_no_difference() -> None:
    assert mid_p(0, 0) == exact_p(0, 0) == 1.0


def test_a_value_by_hand_and_one_from_a_table() -> None:
    assert exact_p(0, 6) == 2 / 64
    assert mid_p(0, 6) == 1 / 64
    # The 5 % bound of the sign test for 25 pairs is 7, as in tables of it.
    assert exact_p(7, 18) < 0.05 < exact_p(8, 17)


def test_thousands_of_images_neither_overflow_nor_vanish_early() -> None:
    assert exact_p(5000, 5000) == 1.0
    assert 0 < mid_p(4700, 5300) < 1e-8
    assert exact_p(0, 10_000) == 0.0


def test_the_order_of_the_two_changes_only_the_sign() -> None:
    low, high = paired_interval(12, 30, 1000)
    assert paired_interval(30, 12, 1000) == (-high, -low)
    assert low < 0.018 < high
    assert low > 0


def test_the_interval_stays_among_possible_differences() -> None:
    assert paired_interval(0, 1, 1)[1] <= 1
    low, high = paired_interval(0, 0, 0)
    assert -1 <= low < 0 < high <= 1


def test_holms_correction_matches_a_calculation_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []
