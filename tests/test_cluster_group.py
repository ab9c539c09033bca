"""A group's chief works by the newest order that it knows, also while the head is away."""

from typing import Any

import pytest

from cifar_dist.cluster.channel import Channel
from cifar_dist.cluster.group import GroupTrial, _Chief
from cifar_dist.counts import Counts
from tests.heads import Head, head
from tests.tiny import a_record, make_job

from ray.exceptions import RayActorError  # isort: skip - after what prepares it

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


def test_a_group_that_is_made_again_counts_as_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, trial, told = Counts(), GroupTrial.__new__(GroupTrial), [RayActorError(), {}]

    def followed(self: GroupTrial) -> dict[str, Any]:
        if isinstance(answer := told.pop(0), Exception):
            raise answer
        return answer

    monkeypatch.setattr("cifar_dist.cluster.group.COUNTS", counts)
    monkeypatch.setattr(GroupTrial, "_followed", followed)
    trial._base, trial._losses = make_job(placement__max_failures=1), 0
    assert trial._epoch() == {}
    assert counts.own()["restarts"] == 1


class _Scripted:
    """A group whose workers tell what was written down, and that notes its commands."""

    def __init__(self, told: list[tuple[str, int, int]]) -> None:
        self.turn, self._told = 1, told
        self.commands: list[tuple[int, int | None, int]] = []

    def command(self, config: dict[str, Any], epochs: int, *, stop: bool) -> None:
        """Note the turn, the training that is past and up to where to train."""
        self.commands.append((self.turn, config.get("past"), epochs))

    def has_ended(self) -> bool:
        """Go on."""
        return False

    def told(self) -> dict[str, Any]:
        """Give state, training and epochs as they were written down."""
        state, training, epochs = self._told.pop(0)
        history = [a_record(e + 1, 1.0).model_dump(mode="json") for e in range(epochs)]
        return {"turn": self.turn, "state": state, "training": training, "history": history}


def test_a_group_trains_anew_at_a_rung_in_a_turn_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Channel, "stop_requested", lambda self: False)
    trial = GroupTrial.__new__(GroupTrial)
    trial._base, trial._losses, trial._seen, trial._told = make_job(), 0, [], 0
    trial._channel, trial._start_seconds, trial._free_since = Channel("a"), 0.1, 0.0
    trial._config = {"number": 0, "overrides": {}, "restarts": [1]}
    script = [("finished", 1, 1), ("running", 2, 1), ("finished", 2, 2)]
    trial._group = group = _Scripted(script)  # type: ignore[assignment]
    results = [trial._epoch() for _ in range(3)]
    assert [(r["state"], r["training"], r["epoch"]) for r in results] == [
        ("running", 1, 1),
        ("running", 2, 1),
        ("finished", 2, 2),
    ]
    assert [len(r["records"]) for r in results] == [1, 1, 1]
    assert group.commands == [(1, None, 1), (2, 1, 1), (2, 1, 2)]
