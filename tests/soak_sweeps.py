"""What a killed sweep left in its store: its rows, and every epoch that its ledger tells of."""

from collections import Counter
from typing import Any

from cifar_dist.runs import Sweep
from cifar_dist.store import open_store
from tests.soak_runs import name_in


def sweep_in(store: str) -> Sweep:
    """Give the one sweep in a store."""
    return Sweep(open_store(store), f"sweeps/{name_in(store, 'sweeps')}")


def epochs_told(store: str) -> int:
    """Count the epochs that a sweep's ledger tells of; 0 before it begins."""
    if name_in(store, "sweeps") is None:
        return 0
    return sum(event["event"] == "epoch" for event in sweep_in(store).events())


def rows(store: str) -> list[dict[str, Any]]:
    """Give what each trial is, where it ended and what it scored, in the order of their numbers."""
    document = sweep_in(store).finished
    assert document is not None, "the sweep is not finished"
    timed = ("start_seconds", "train_seconds", "history", "reason")
    found = []
    for row in document["trials"]:
        scores = [(r["epoch"], r["validation_loss"], r["lr"]) for r in row["history"]]
        kept = {key: value for key, value in row.items() if key not in timed}
        found.append({**kept, "scores": scores})
    return found


def run_again(store: str) -> list[int]:
    """Give the trials that began or went on after they had ended."""
    over: set[int] = set()
    again = []
    for event in sweep_in(store).events():
        if event["event"] == "end":
            over.add(event["trial"])
        elif event["event"] in ("start", "epoch") and event["trial"] in over:
            again.append(event["trial"])
    return again


def repeated(store: str) -> int:
    """Count the epochs that were told more than once."""
    told = Counter(
        (event["trial"], event["epoch"])
        for event in sweep_in(store).events()
        if event["event"] == "epoch"
    )
    return sum(count - 1 for count in told.values())
