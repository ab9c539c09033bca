"""What a worker counts, as metrics of Ray's: the agent of its machine exports them as ray_NAME."""

import time
from collections.abc import Callable

import ray
from ray.util.metrics import Counter

from cifar_dist.counts import COUNTS

_PAUSE_SECONDS = 1.0
METERS = {
    "cifar_dist_worker_images_total": "Training images that workers took in, each its own share.",
    "cifar_dist_worker_steps_total": "Optimizer steps of workers; each worker of a group counts.",
    "cifar_dist_worker_commit_seconds_total": "Seconds in which workers stored checkpoints.",
    "cifar_dist_worker_storage_retries_total": "Requests to storage that workers sent again.",
}
"""Counters of a worker and what they count; their one tag is the run's or sweep's id."""


def count_steps(run: str) -> Callable[[], None]:
    """Count this process's work for a run from now on, unless it is no worker of Ray's.

    Gives what is to be called when the work is done: it tells Ray the rest.
    """
    if not ray.is_initialized():
        return _nothing
    meters = _Meters(run)
    COUNTS.listener = meters.step
    return meters.flush


def _nothing() -> None:
    """Tell nobody."""


class _Meters:
    """Tells Ray at most once a second; what came after the last time is told with the next."""

    def __init__(self, run: str) -> None:
        self._tags = {"run": run}
        self._counters = {
            name: Counter(name, description=text, tag_keys=("run",))
            for name, text in METERS.items()
        }
        self._steps, self._images, self._next = 0, 0.0, 0.0
        self._told = self._amounts()

    def step(self, steps: int, images: float) -> None:
        """Count steps and images of this process."""
        self._steps, self._images = self._steps + steps, self._images + images
        if time.monotonic() >= self._next:
            self.flush()

    def flush(self) -> None:
        """Tell Ray all that it was not told yet."""
        self._next = time.monotonic() + _PAUSE_SECONDS
        amounts = self._amounts()
        for name, counter in self._counters.items():
            if (more := amounts[name] - self._told[name]) > 0:
                counter.inc(more, tags=self._tags)
        self._told = amounts

    def _amounts(self) -> dict[str, float]:
        own = COUNTS.own()
        amounts = (self._images, self._steps, own["commit_seconds"], own["storage_retries"])
        return dict(zip(METERS, map(float, amounts), strict=True))
