"""The order of a sweep's trials, best first."""

from collections.abc import Iterable

from cifar_dist.documents import TrialRow


def rank(trials: Iterable[TrialRow]) -> list[TrialRow]:
    """Sort by validation accuracy at the best epoch, then by loss; failed trials come last."""
    return sorted(trials, key=_worth)


def _worth(row: TrialRow) -> tuple[bool, float, float, int]:
    accuracy = -1.0 if row.validation_accuracy is None else row.validation_accuracy
    loss = float("inf") if row.validation_loss is None else row.validation_loss
    return row.state == "failed", -accuracy, loss, row.trial
