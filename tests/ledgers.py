"""A sweep's ledger, trial by trial, read without the code that continues sweeps."""

from dataclasses import dataclass, field
from typing import Any

from cifar_dist.runs import Sweep


@dataclass
class TrialLog:
    """What the ledger says about one trial."""

    trial: int
    state: str = "started"
    """'started' until its end event names another."""
    overrides: dict[str, Any] = field(default_factory=dict)
    rungs: dict[int, float] = field(default_factory=dict)
    """Epoch to value; a repeated epoch counts once."""
    epochs: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Epoch to its event."""
    end: dict[str, Any] | None = None
    """The end event."""


def trial_logs(sweep: Sweep) -> dict[int, TrialLog]:
    """Give what is known of every trial that was started. Raises DamagedError."""
    found: dict[int, TrialLog] = {}
    for event in sweep.events():
        if "trial" in event:
            log = found.setdefault(event["trial"], TrialLog(event["trial"]))
            _apply(log, event)
    return found


def _apply(log: TrialLog, event: dict[str, Any]) -> None:
    match event["event"]:
        case "start":
            log.state, log.overrides, log.end = "started", event["overrides"], None
        case "rung":
            log.rungs[event["epoch"]] = event["value"]
        case "epoch":
            log.epochs[event["epoch"]] = event
        case "end":
            log.state, log.end = event["state"], event
