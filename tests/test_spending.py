"""A budget is reached by its nearest part, says which, and money needs a price."""

import pytest

from cifar_dist.errors import ConfigError
from cifar_dist.spending import Allowance, Prices, Spent

PRICES = Prices(cpu_hour=0.5, gpu_hour=2.0)
SPENT = Spent(wall_seconds=60.0, cpu_seconds=7_200.0, gpu_seconds=3_600.0)


@pytest.mark.parametrize(
    ("allowance", "used", "sentence"),
    [
        (Allowance(seconds=60), 1.0, "the sweep's budget of 60 s was spent"),
        (Allowance(cpu_hours=1.5), 4 / 3, "the sweep's budget of 1.5 CPU-hours was spent"),
        (Allowance(gpu_hours=0.25), 4.0, "the sweep's budget of 0.25 GPU-hours was spent"),
        (Allowance(cost=2.5, prices=PRICES), 1.2, "the sweep's budget of 2.5 in money was spent"),
        (Allowance(seconds=600, cpu_hours=4), 0.5, None),
        (Allowance(), None, None),
    ],
)
def test_the_nearest_part_of_a_budget_decides_and_is_named(
    allowance: Allowance, used: float | None, sentence: str | None
) -> None:
    assert allowance.used(SPENT) == (used if used is None else pytest.approx(used))
    assert allowance.exhausted(SPENT) == sentence


def test_what_was_spent_under_an_earlier_budget_does_not_count_again() -> None:
    later = Allowance(seconds=60, cpu_hours=1, before=Spent(30.0, 7_200.0))
    assert later.used(SPENT) == 0.5
    assert later.used(Spent()) == 0.0


def test_money_is_limited_only_where_something_has_a_price() -> None:
    PRICES.check_budget(1.0)
    Prices().check_budget(None)
    with pytest.raises(ConfigError, match=r"budget.cost=1: nothing has a price here; .*--set"):
        Prices().check_budget(1.0)
