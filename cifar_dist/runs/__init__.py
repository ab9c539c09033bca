"""Runs and sweeps as they lie in a store: identity, attempts, checkpoints, ledger, inventory."""

from cifar_dist.runs.attempts import Attempt
from cifar_dist.runs.committer import BackgroundCommitter
from cifar_dist.runs.copies import copy_verified, fetch, fetch_model, fetch_report
from cifar_dist.runs.identity import fingerprint, fresh, identity
from cifar_dist.runs.inventory import (
    RunRow,
    artifacts,
    best_files,
    list_runs,
    locate,
    serving,
    stamped,
    verify,
    winner,
)
from cifar_dist.runs.ledger import Ledger
from cifar_dist.runs.manifest import Manifest
from cifar_dist.runs.run import Run
from cifar_dist.runs.sweep import SHARE, Goal, Sweep

__all__ = [
    "SHARE",
    "Attempt",
    "BackgroundCommitter",
    "Goal",
    "Ledger",
    "Manifest",
    "Run",
    "RunRow",
    "Sweep",
    "artifacts",
    "best_files",
    "copy_verified",
    "fetch",
    "fetch_model",
    "fetch_report",
    "fingerprint",
    "fresh",
    "identity",
    "list_runs",
    "locate",
    "serving",
    "stamped",
    "verify",
    "winner",
]
