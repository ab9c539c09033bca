"""A notice that a machine is taken away is heard, whatever Ray's young API does."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from cifar_dist.cluster import notice
from cifar_dist.cluster.notice import NodeNotice, group_seconds_left
from cifar_dist.counts import Counts

from ray.exceptions import RayActorError, RpcError  # isort: skip - after what prepares it

pytestmark = pytest.mark.filterwarnings("default")


def in_ms(seconds: float) -> int:
    return int((time.time() + seconds) * 1000)


def tells(patch: pytest.MonkeyPatch, info: Any) -> None:
    def get_preemption_info() -> Any:
        if isinstance(info, Exception):
            raise info
        return info

    patch.setattr(notice.ray.train, "get_preemption_info", get_preemption_info)


@pytest.mark.parametrize(
    ("info", "left"),
    [
        (SimpleNamespace(deadline_ms=in_ms(36_000)), 36_000),
        (SimpleNamespace(deadline_ms=None), 30),
        (SimpleNamespace(deadline_ms=0), 30),
    ],
)
def test_a_group_is_told_how_long_its_first_machine_stays(
    info: Any, left: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    tells(monkeypatch, info)
    assert group_seconds_left() == pytest.approx(left, abs=3_600 if left > 3_600 else 0)


def test_a_machine_that_outlived_its_time_by_far_has_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tells(monkeypatch, SimpleNamespace(deadline_ms=in_ms(-3_600)))
    assert group_seconds_left() is None


@pytest.mark.parametrize("info", [None, SimpleNamespace(), "soon", RayActorError()])
def test_without_a_notice_or_with_one_of_another_form_there_is_time(
    info: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tells(monkeypatch, info)
    assert group_seconds_left() is None


def test_a_group_counts_its_lost_machines_and_only_who_is_on_one_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here = ["left"]
    driver, nodes = Counts(), {"mine": [0, 1], "other": [2]}
    context = SimpleNamespace(get_node_id=lambda: here[0])
    monkeypatch.setattr(notice.ray, "get_runtime_context", lambda: context)
    tells(monkeypatch, SimpleNamespace(deadline_ms=None, preempted_node_to_ranks=nodes))
    for node in ("left", "mine", "mine", "other"):
        here[0], rank = node, Counts()
        notice._warn.cache_clear()
        monkeypatch.setattr(notice, "COUNTS", rank)
        for _ in range(3):
            group_seconds_left()
        driver.hear(rank.told())
    assert driver.totals().amounts["preemptions"] == 2
    assert caplog.text.count("this machine is to be taken away") == 3


def test_a_ray_without_notices_leaves_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(notice.ray.train, "get_preemption_info")
    assert group_seconds_left() is None


def test_a_peer_that_hangs_at_the_barrier_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    tells(monkeypatch, TimeoutError("rank 1 did not come"))
    with pytest.raises(TimeoutError):
        group_seconds_left()


class Cluster:
    """Answers what drains, one answer after the other."""

    def __init__(self, patch: pytest.MonkeyPatch, *answers: Any) -> None:
        self.answers = list(answers)
        context = SimpleNamespace(get_node_id=lambda: "mine")
        patch.setattr(notice.ray, "is_initialized", lambda: True)
        patch.setattr(notice.ray, "get_runtime_context", lambda: context)
        patch.setattr(notice.ray._private.state.state, "get_draining_nodes", self._draining)
        patch.setattr(notice, "_POLL_SECONDS", 0.0)

    def _draining(self) -> dict[str, int]:
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, Exception):
            raise answer
        drained: dict[str, int] = answer
        return drained


def test_a_lone_worker_hears_of_its_own_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, {}, RpcError("away"), {"other": 1}, {"mine": in_ms(36_000)}, {})
    counts = Counts()
    monkeypatch.setattr(notice, "COUNTS", counts)
    heard = NodeNotice()
    for _ in range(5_000):
        if heard.seconds_left() is not None:
            break
        time.sleep(0.001)
    assert heard.seconds_left() == pytest.approx(36_000, abs=3_600)
    assert len(cluster.answers) == 1, "it looks no longer than needed"
    assert counts.totals().amounts["preemptions"] == 1


def test_a_worker_outside_of_a_cluster_has_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notice.ray, "is_initialized", lambda: False)
    assert NodeNotice().seconds_left() is None
