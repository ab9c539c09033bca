"""Wrong values are refused before anything is installed, by the name of their key."""

import pytest

from tests.chart.renders import Case, template
from tests.chart.wrong_values import WRONG, Wrong

ENOUGH = 60
# By the schema or by a template's own words; anything else is an accident in a template.
MEANT = ("don't meet the specifications of the schema", "execution error at")


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: " ".join(wrong.settings)[:70])
def test_a_wrong_value_is_refused_by_its_name(wrong: Wrong) -> None:
    ended = template(Case(wrong.values, wrong.mode), *wrong.settings)
    assert ended.code, "rendered"
    lacking = [word for word in wrong.named if word not in ended.error]
    assert not lacking, ended.error
    assert any(way in ended.error for way in MEANT), ended.error


def test_the_wrong_values_are_tried_on_what_renders_without_them() -> None:
    assert len(WRONG) >= ENOUGH
    for mode in {wrong.mode for wrong in WRONG}:
        assert template(Case("default", mode)).code == 0
