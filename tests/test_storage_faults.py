"""Requests that fail, get lost or are bent on their way cost time and never a checkpoint."""

import random
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.errors import StoreError
from cifar_dist.runs import Run
from tests.broken_storage import SERVERS, SIMULATED, count_intact, impatient
from tests.fault_proxy import Fault, FaultProxy
from tests.soak import rounds
from tests.writers import commit, is_exact

pytestmark = pytest.mark.soak
PASSING = [
    *[Fault(kind, 0.3) for kind in ("503", "500", "429", "reset_before", "answer_lost")],
    Fault("truncated", 0.3, methods=("GET",)),
    Fault("error_200", times=3),
]
BENDING = ["flip_down", "short", "truncated"]


@SERVERS
@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: fault.kind)
def test_three_of_ten_requests_may_fail(
    broken_run: Run, proxy: FaultProxy, tmp_path: Path, fault: Fault, figures: dict[str, Any]
) -> None:
    commits = rounds(3, 30)
    proxy.faults.append(fault)
    attempt = broken_run.claim_attempt()
    for step in range(1, commits + 1):
        commit(attempt, tmp_path, step)
    intact = count_intact(broken_run, tmp_path)
    figures.update(proxy.counts, commits=commits, intact=intact)
    assert intact == commits
    assert proxy.counts[fault.kind] > 0


@SERVERS
def test_a_bent_upload_is_refused_and_sent_again(
    broken_run: Run, proxy: FaultProxy, tmp_path: Path, figures: dict[str, Any]
) -> None:
    commits = rounds(6, 30)
    proxy.faults.append(Fault("flip_up", rounds(30, 10) / 100, methods=("PUT",)))
    attempt = broken_run.claim_attempt()
    for step in range(1, commits + 1):
        commit(attempt, tmp_path, step)
    proxy.faults.clear()
    intact = count_intact(broken_run, tmp_path)
    figures.update(proxy.counts, commits=commits, intact=intact)
    assert intact == commits
    assert proxy.counts["rejected"] == proxy.counts["flip_up"] > 0


@SIMULATED
@pytest.mark.parametrize("kind", BENDING)
@pytest.mark.parametrize("name", ["000001.json", "MANIFEST.json", "state.pt"])
def test_an_answer_bent_once_or_twice_skips_no_intact_checkpoint(
    broken_run: Run, proxy: FaultProxy, tmp_path: Path, name: str, kind: str
) -> None:
    attempt = broken_run.claim_attempt()
    for step in (1, 3):
        commit(attempt, tmp_path, step)
    for times in (1, 2):
        proxy.faults[:] = [Fault(kind, methods=("GET",), pattern=name, times=times)]
        chosen = broken_run.latest_intact(tmp_path / f"back-{times}")
        assert chosen is not None and chosen.step == 3
        assert is_exact(tmp_path / f"back-{times}", 3)
    assert proxy.counts[kind] >= 2


@SERVERS
@pytest.mark.parametrize("kind", BENDING)
def test_bent_downloads_are_never_accepted(
    broken_run: Run, proxy: FaultProxy, tmp_path: Path, kind: str, figures: dict[str, Any]
) -> None:
    attempt = broken_run.claim_attempt()
    for step in (1, 3):
        commit(attempt, tmp_path, step)
    # An object counts as damaged when three readings in a row are bent: so seldom that none is.
    share = rounds(4, 1) / 100
    proxy.faults.append(Fault(kind, share, methods=("GET",), pattern=r"/step-"))
    tries = rounds(20, 300)
    for number in range(tries):
        figures.update(proxy.counts, tries=number + 1)
        chosen = broken_run.latest_intact(tmp_path / f"back-{number}")
        assert chosen is not None and chosen.step == 3, f"try {number} went back"
        assert is_exact(tmp_path / f"back-{number}", 3)
    assert proxy.counts[kind] > 0


@SERVERS
def test_everything_at_once_is_survived(
    broken_run: Run, proxy: FaultProxy, tmp_path: Path, figures: dict[str, Any]
) -> None:
    kinds = ("503", "500", "429", "reset_before", "answer_lost", "truncated", "error_200")
    proxy.faults += [Fault(kind, 0.03) for kind in kinds]
    proxy.faults += [Fault("flip_up", 0.03, methods=("PUT",)), Fault("latency", 0.1, seconds=0.02)]
    chance, committed = random.Random(11), 0
    for life in range(rounds(3, 20)):
        attempt = broken_run.claim_attempt()
        for _ in range(chance.randrange(1, 4)):
            committed += 1
            commit(attempt, tmp_path, committed)
        chosen = broken_run.latest_intact(tmp_path / f"back-{life}")
        assert chosen is not None and chosen.step == committed
        assert is_exact(tmp_path / f"back-{life}", committed)
        broken_run.prune(2)
    figures.update(proxy.counts, committed=committed)


@SIMULATED
@pytest.mark.usefixtures("hasty")
def test_a_stalled_download_is_an_error_and_goes_on_after_the_stall(
    proxy: FaultProxy, broken_run: Run, tmp_path: Path
) -> None:
    commit(broken_run.claim_attempt(), tmp_path, 2)
    stall = Fault("stall", methods=("GET",), pattern="state.pt")
    proxy.faults.append(stall)
    with pytest.raises(StoreError, match=proxy.endpoint):
        impatient(broken_run, 3).latest_intact(tmp_path / "stalled")
    proxy.faults.remove(stall)
    chosen = broken_run.latest_intact(tmp_path / "back")
    assert chosen is not None and is_exact(tmp_path / "back", 2)
    assert proxy.counts["stall"] > 1
