"""A ledger as large as a sweep may be is continued in seconds, and in little memory."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.runs import Ledger, Sweep
from cifar_dist.store import open_store
from tests.soak import rounds
from tests.tiny import a_record

pytestmark = pytest.mark.soak

TRIALS = rounds(300, 10_000)
EPOCHS = 8

_CONTINUED = """
import json, resource, sys, time
from cifar_dist.cluster.book import Book
from cifar_dist.runs import Ledger, Sweep
from cifar_dist.search import Asha, Rungs
from cifar_dist.store import open_store
from tests.watchers import Silent
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before, started = peak(), time.monotonic()
sweep = Sweep(open_store(sys.argv[1]), "sweeps/large-00000000")
book = Book(20_000, Rungs(Asha(), 9), Ledger(sweep, sweep.claim_attempt()), Silent())
book.open_attempt({"CPU": 1.0}, 1)
seconds = time.monotonic() - started
facts = {"ended": book.ended, "waiting": len(book.waiting), "seconds": seconds}
print(json.dumps({**facts, "grown_bytes": peak() - before}))
"""


def written(folder: Path) -> int:
    """Tell a sweep of many trials, of which the last two are unfinished; gives its events."""
    sweep = Sweep(open_store(str(folder)), "sweeps/large-00000000")
    ledger = Ledger(sweep, sweep.claim_attempt())
    ledger.open(cpus=1.0, gpus=0.0)
    events = 1
    for number in range(TRIALS):
        ledger.add("start", number, overrides={"recipe.optimizer.lr": number / TRIALS})
        ledger.flush()
        for epoch in range(1, EPOCHS + 1):
            record = a_record(epoch, 1.0 / epoch).model_dump()
            ledger.add("epoch", number, **{**record, "train_loss": number / 7 + epoch})
        ledger.add("rung", number, epoch=3, value=0.5)
        events += EPOCHS + 2
        if number < TRIALS - 2:
            ended = {"state": "finished", "reason": None, "epochs": EPOCHS, "best_epoch": EPOCHS}
            scores = {"validation_loss": 1.0, "validation_accuracy": 0.5, "heard": None}
            times = {"start_seconds": 0.1, "train_seconds": 8.0}
            ledger.add("end", number, **ended, **scores, **times)
            events += 1
    return events


def test_a_large_ledger_is_continued_in_seconds_and_in_little_memory(
    tmp_path: Path, figures: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)
    figures["events"] = written(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-c", _CONTINUED, str(tmp_path)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(ended.stdout.splitlines()[-1])
    figures.update(continued_seconds=found["seconds"], grown_bytes=found["grown_bytes"])
    assert (found["ended"], found["waiting"]) == (TRIALS - 2, 2)
    assert found["grown_bytes"] < 200_000_000
