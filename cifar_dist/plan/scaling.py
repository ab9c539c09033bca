"""One training on many workers, on paper: its step shared out, its gradients added up in a ring."""

from dataclasses import dataclass

from cifar_dist.documents.plan import PlannedScaling

GIGABITS = 10.0
"""Per second between two workers, if nothing else is said."""
LATENCY_SECONDS = 30e-6
"""Of one message between two workers: assumed."""
_BITS = 8
_GIGA = 1e9
_DOUBLINGS = (8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class Alone:
    """What one worker was measured to need for the whole step."""

    step_seconds: float
    batch_size: int
    gradient_bytes: int
    norms: int
    """Layers whose batch statistics are added up, too: once forward and once backward."""
    epoch_images: int
    evaluation_seconds: float
    """Of an epoch; images are shared out."""


def scaled(alone: Alone, workers: int, gigabits: float) -> PlannedScaling:
    """Share a step out: seconds / N, and a ring's 2 (N-1) messages of 1/N of the gradients each.

    A worker gets whole images, so the largest share decides.
    """
    share = -(-alone.batch_size // workers) / alone.batch_size
    communication = _ring_seconds(alone.gradient_bytes, workers, gigabits)
    communication += 2 * alone.norms * _ring_seconds(0, workers, gigabits)
    step = alone.step_seconds * share + communication
    steps = alone.epoch_images / alone.batch_size
    rate = alone.batch_size / step
    return PlannedScaling(
        workers=workers,
        step_seconds=step,
        communication_seconds=communication,
        epoch_seconds=steps * step + alone.evaluation_seconds / workers,
        images_per_second=rate,
        efficiency_ratio=alone.step_seconds / (workers * step),
    )


def scaling(alone: Alone, workers: int, gigabits: float) -> list[PlannedScaling]:
    """Give the asked number of workers among smaller and larger ones."""
    counts = {1, 2, 4, workers, *_DOUBLINGS}
    return [scaled(alone, count, gigabits) for count in sorted(counts)]


def _ring_seconds(size: int, workers: int, gigabits: float) -> float:
    if workers == 1:
        return 0.0
    sent = 2 * (workers - 1) / workers * size
    return sent * _BITS / (gigabits * _GIGA) + 2 * (workers - 1) * LATENCY_SECONDS
