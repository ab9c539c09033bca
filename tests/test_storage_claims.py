"""Writers and readers of one run at once: each attempt has one owner, the others are refused."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.errors import RefusedError
from cifar_dist.runs import Attempt, Run
from cifar_dist.store import open_store
from tests.broken_storage import NAME, SERVERS, meanwhile
from tests.fault_proxy import Fault, FaultProxy
from tests.soak import rounds
from tests.writers import commit, is_exact

pytestmark = pytest.mark.soak
CLAIMERS = 8


@SERVERS
def test_every_attempt_has_one_owner_though_answers_get_lost(
    broken_run: Run, proxy: FaultProxy, tmp_path: Path, figures: dict[str, Any]
) -> None:
    proxy.faults.append(Fault("answer_lost", 0.3))

    def claim(_: int) -> list[Attempt]:
        run = Run(open_store(broken_run.store.uri), NAME)
        return [run.claim_attempt() for _ in range(rounds(2, 5))]

    with ThreadPoolExecutor(CLAIMERS) as claimers:
        claims = chain.from_iterable(claimers.map(claim, range(CLAIMERS)))
    claimed = sorted(claims, key=lambda attempt: attempt.number)
    figures.update(proxy.counts, attempts=len(claimed))
    assert [attempt.number for attempt in claimed] == list(range(1, CLAIMERS * rounds(2, 5) + 1))
    for number, superseded in enumerate(claimed[-4:-1]):
        with pytest.raises(RefusedError, match="superseded") as caught:
            commit(superseded, tmp_path, number)
        assert caught.value.exit_code == 5
    newest = commit(claimed[-1], tmp_path, 9)
    assert broken_run.checkpoints() == [newest]


@SERVERS
def test_pruning_breaks_no_reader(
    broken_run: Run, proxy: FaultProxy, tmp_path: Path, figures: dict[str, Any]
) -> None:
    proxy.faults.append(Fault("503", 0.1))
    attempt, steps = broken_run.claim_attempt(), range(1, 10**6, 2)
    commit(attempt, tmp_path, steps[0])
    broken_run.pin("best", broken_run.checkpoints()[0])
    done, wrong, reads = threading.Event(), [], []

    def read(name: str) -> None:
        run, number = Run(open_store(broken_run.store.uri), NAME), 0
        while not done.is_set():
            number += 1
            folder = tmp_path / f"{name}-{number}"
            chosen = run.latest_intact(folder)
            reads.append(chosen)
            if chosen is None or not is_exact(folder, chosen.step):
                wrong.append(folder)

    readers = [lambda name=f"reader-{number}": read(name) for number in range(3)]
    end = time.monotonic() + rounds(3, 30)
    with meanwhile(*readers):
        try:
            for step in steps[1:]:
                commit(attempt, tmp_path, step)
                broken_run.prune(2)
                if time.monotonic() > end and step > 3:
                    break
        finally:
            done.set()
    figures.update(proxy.counts, reads=len(reads), commits=len(range(1, step, 2)) + 1)
    assert len(reads) >= 3 and not wrong
    assert [manifest.step for manifest in broken_run.checkpoints()] == [step, step - 2, 1]
