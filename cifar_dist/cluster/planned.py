"""What a sweep was expected to hold, from the steps that chose its precision."""

from collections.abc import Sequence

from cifar_dist.documents import SweepCost, TrialSpan
from cifar_dist.runs import Sweep
from cifar_dist.search import Space
from cifar_dist.search.expectation import expected

_FORWARD = 1 / 3  # of a training step: what the same images take to be evaluated


def planned_seconds(space: Space, sweep: Sweep, trials: int) -> float | None:
    """Give the seconds for which trials were expected to hold their slots, all added up.

    None if they cannot be known: several workers train a trial together, its precision was set and
    so nothing was timed, or what a step costs is searched itself.
    """
    verdict = sweep.recorded("precision.json") or {}
    timed, images = verdict.get("milliseconds", {}).get(verdict.get("name")), verdict.get("images")
    if not timed or not images or space.varies_steps or (space.job.placement.workers or 1) > 1:
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
