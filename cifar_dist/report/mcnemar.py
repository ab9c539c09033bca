"""McNemar's test of two classifiers on the same images, and what goes with it.

Only the images that one of them gets right and the other wrong tell the two apart. Formulas:
Fagerland, Lydersen and Laake 2013 (mid-p), Agresti and Min 2005 (interval), Holm 1979.
"""

import math
from collections.abc import Sequence

from cifar_dist.report.evaluation import Z


def exact_p(only_first: int, only_second: int) -> float:
    """Give the two-sided binomial p value of so uneven a division, or a more uneven one."""
    below, at = _binomial(only_first, only_second)
    return min(1.0, 2 * (below + at))


def mid_p(only_first: int, only_second: int) -> float:
    """Give the two-sided p value that counts the division itself by half."""
    if not only_first + only_second:
        return 1.0  # nothing speaks for a difference
    below, at = _binomial(only_first, only_second)
    return 1 - at / 2 if only_first == only_second else 2 * below + at


def paired_interval(only_first: int, only_second: int, images: int) -> tuple[float, float]:
    """Give the 95 % interval of the second accuracy minus the first, on the same images."""
    count = images + 2  # half an image more of each of the four kinds
    one, other = only_first + 0.5, only_second + 0.5
    difference = (other - one) / count
    half = Z * math.sqrt(one + other - (other - one) ** 2 / count) / count
    return max(-1.0, difference - half), min(1.0, difference + half)


def holm(values: Sequence[float]) -> list[float]:
    """Correct p values for their number, in their order."""
    corrected, largest = [0.0] * len(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = largest
    return corrected


def _binomial(only_first: int, only_second: int) -> tuple[float, float]:
    """Give the probabilities of fewer, and of exactly, min(a, b) heads in a + b fair tosses."""
    tosses, heads = only_first + only_second, min(only_first, only_second)
    below, at = 0, 1  # in units of 2**-tosses, exact
    for index in range(heads):
        below += at
        at = at * (tosses - index) // (index + 1)
    return below / 2**tosses, at / 2**tosses
