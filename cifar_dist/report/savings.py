"""What pruning saved, from the seconds that each trial's own epochs took."""

import statistics
from dataclasses import dataclass

from cifar_dist.documents import TrialRow, TuneDocument


@dataclass(frozen=True)
class Savings:
    """Training seconds of a sweep beside those of one whose pruned trials run to their end."""

    spent_seconds: float
    full_seconds: float

    @property
    def share(self) -> float:
        """Saved share of the full cost."""
        return 1 - self.spent_seconds / self.full_seconds if self.full_seconds else 0.0


def savings(document: TuneDocument) -> Savings:
    """Give each missing epoch of a pruned trial the median time of those that it ran.

    Epochs that a longer training replaced count against it. A failed trial counts as it ran: it
    had no end to run to.
    """
    spent = sum(trial.train_seconds for trial in document.trials)
    base = document.job.get("recipe", {}).get("epochs", 0)
    missing = sum(_missing(trial, base) for trial in document.trials if trial.state != "failed")
    return Savings(spent, spent + missing)


def _missing(trial: TrialRow, base: int) -> float:
    if not trial.history:
        return 0.0
    asked = int(trial.parameters.get("recipe.epochs", base))
    per_epoch = statistics.median(record.seconds for record in trial.history)
    left = max(0, asked - trial.epochs) if trial.state == "pruned" else 0
    return (left - trial.replaced_epochs) * per_epoch
