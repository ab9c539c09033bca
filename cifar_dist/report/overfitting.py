"""Whether a run learned its training images better than what they have in common: by one rule."""

from collections.abc import Sequence
from typing import Literal

from cifar_dist.documents import EpochRecord, Overfitting

LARGEST_GAP = 0.1
_RISE = 1.1

RULE = (
    "A gap is training minus validation accuracy in one epoch. The kept weights count as "
    "over-fitted if their gap exceeds 10 points, and training as over-fitted later if the last "
    "epoch's gap does, or if its validation loss is over 10 % above the kept epoch's while its "
    "training loss is lower. Training accuracy is taken while the epoch trains, on augmented "
    "images and with dropout, validation accuracy after it on plain ones: the gap is a low "
    "estimate."
)


def overfitting(history: Sequence[EpochRecord], best_epoch: int) -> Overfitting | None:
    """Judge a history by the rule; None where no epoch was validated."""
    scored = {record.epoch: record for record in history if record.validation_loss is not None}
    if best_epoch not in scored:
        return None
    best, last = scored[best_epoch], scored[max(scored)]
    verdict: Literal["none", "later", "kept"] = "none"
    if _gap(best) > LARGEST_GAP:
        verdict = "kept"
    elif _gap(last) > LARGEST_GAP or _parted(best, last):
        verdict = "later"
    return Overfitting(gap=_gap(best), final_gap=_gap(last), verdict=verdict, rule=RULE)


def _gap(record: EpochRecord) -> float:
    return record.train_accuracy - (record.validation_accuracy or 0.0)


def _parted(best: EpochRecord, last: EpochRecord) -> bool:
    """Tell whether training went on to fit better while validation fitted worse."""
    before, after = best.validation_loss or 0.0, last.validation_loss or 0.0
    is_lower = (last.train_loss or 0.0) < (best.train_loss or 0.0)
    return is_lower and after > _RISE * before
