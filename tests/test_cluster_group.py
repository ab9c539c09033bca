"""A group's chief works by the newest order that it knows, also while the head is away."""

import pytest

from cifar_dist.cluster.channel import Channel
from cifar_dist.cluster.group import _Chief
from tests.heads import Head, head

__all__ = ["head"]

pytestmark = pytest.mark.filterwarnings("default")

ORDER = {"turn": 1, "config": {"number": 3}, "epochs": 2, "stop": False}


@pytest.fixture
def chief(head: Head) -> _Chief:
    Channel("sweeps/a/1").order(ORDER)
    made = _Chief(Channel("sweeps/a/1"), [])
    assert made.next_config() == {"number": 3}
    return made


def test_a_chief_trains_on_while_nobody_can_tell_it_more(chief: _Chief, head: Head) -> None:
    head.is_away = True
    assert not chief.stop_requested()
    chief.observe(1, 18, [])
    assert not chief.tell("running", [])


def test_a_chief_ends_its_trial_when_it_is_told_to_or_given_another(chief: _Chief) -> None:
    leader = Channel("sweeps/a/1")
    leader.order({**ORDER, "stop": True})
    assert chief.stop_requested()
    leader.order({**ORDER, "turn": 2})
    assert chief.stop_requested()


def test_a_chief_that_begins_anew_takes_up_the_trial_it_was_given(head: Head) -> None:
    for _ in range(2):
        Channel("sweeps/a/1").order(ORDER)
        assert _Chief(Channel("sweeps/a/1"), []).next_config() == {"number": 3}
