"""A made-up ledger of any length, as a sweep with ASHA writes it."""

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

from cifar_dist.standing import Standing

RUNGS = (1, 3)
EPOCHS = 9
SLOTS = 4
Event = dict[str, Any]


def ledger(trials: int) -> Iterator[Event]:
    """Give the events of a sweep whose trials come one after another, each event a second later.

    Of three trials one is pruned at each rung and one finishes; every 50th fails.
    """
    seconds = count()
    yield {"event": "open", "cpus": 2.0, "gpus": 0.5, "slots": SLOTS, "at_seconds": next(seconds)}
    for trial in range(trials):
        yield {"event": "start", "trial": trial, "overrides": {}, "at_seconds": next(seconds)}
        last = (1, 3, EPOCHS)[trial % 3]
        for epoch in range(1, last + 1):
            accuracy = 0.5 + trial % 100 / 250
            yield {**_told(trial, epoch, accuracy), "at_seconds": next(seconds)}
            if epoch in RUNGS:
                rung = {"event": "rung", "trial": trial, "epoch": epoch, "value": accuracy}
                yield {**rung, "at_seconds": next(seconds)}
        yield {**_end(trial, last), "at_seconds": next(seconds)}
    yield {"event": "close", "at_seconds": next(seconds)}


def lived(standing: Standing, events: Iterable[Event]) -> None:
    """Let a sweep stand where it does after these events; each trial has its worker at once."""
    for event in events:
        standing.add(event)
        if event["event"] == "start":
            standing.placed(event["trial"])
        if event["event"] == "epoch":
            standing.started(event["trial"], 0.25)


def _told(trial: int, epoch: int, accuracy: float) -> Event:
    return {
        "event": "epoch",
        "trial": trial,
        "epoch": epoch,
        "train_loss": 1.0,
        "train_accuracy": 0.5,
        "validation_loss": 1.0,
        "validation_accuracy": accuracy,
        "lr": 0.1,
        "seconds": 0.5,
        "images_per_second": 200.0,
    }


def _end(trial: int, last: int) -> Event:
    state = "finished" if last == EPOCHS else "pruned"
    state = "failed" if trial % 50 == 49 else state
    return {
        "event": "end",
        "trial": trial,
        "state": state,
        "reason": None,
        "epochs": last,
        "best_epoch": last,
        "validation_loss": 1.0,
        "validation_accuracy": None if state == "failed" else 0.5 + trial % 100 / 250,
        "start_seconds": 0.25,
        "train_seconds": 0.5 * last,
        "heard": None,
    }
