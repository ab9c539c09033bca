"""What a sweep was expected to hold, from the steps that chose its precision."""

import re
from collections.abc import Sequence

from cifar_dist.documents import SweepCost, TrialSpan
from cifar_dist.runs import Sweep
from cifar_dist.search import Space
from cifar_dist.search.expectation import expected

_FORWARD = 1 / 3  # of a training step: what the same images take to be evaluated
# Where these are searched the base job's steps say little about the other trials'.
_COSTLY = re.compile(
    r"recipe\.(model|batch_size|accumulation|augmentation|averaging|optimizer(\.name)?$)"
)
_CHEAP = re.compile(r"recipe\.model\.\w*dropout\w*$")


def planned_seconds(space: Space, sweep: Sweep, trials: int) -> float | None:
    """Give the seconds for which trials were expected to hold their slots, all added up.

    None if they cannot be known: several workers train a trial together, its precision was set and
    so nothing was timed, or what a step costs is searched itself.
    """
    verdict = sweep.recorded("precision.json") or {}
    timed, images = verdict.get("milliseconds", {}).get(verdict.get("name")), verdict.get("images")
    searched = [path for path in space.space if _COSTLY.match(path) and not _CHEAP.match(path)]
    if not timed or not images or searched or (space.job.placement.workers or 1) > 1:
        return None
    data = sweep.document["data"]
    seen = float(data["train_images"] + _FORWARD * data["validation_images"])
    return expected(space, trials).epochs.mean * seen * float(timed) / float(images) / 1000


def beside_planned(cost: SweepCost, seconds: float | None, spans: Sequence[TrialSpan]) -> SweepCost:
    """Put beside what a sweep spent what it was expected to, its slots held for so many seconds."""
    held = sum(span.end_seconds - span.begin_seconds for span in spans)
    if seconds is None or not held:
        return cost
    planned = {
        "planned_cpu_seconds": cost.cpu_seconds / held * seconds,
        "planned_gpu_seconds": cost.gpu_seconds / held * seconds,
        "actual_over_planned": held / seconds,
    }
    return cost.model_copy(update=planned)
