"""Where a sweep's trials ran, and what its best ones came to with other seeds."""

from typing import Literal

from cifar_dist.documents.document import Document


class TrialSpan(Document):
    """A trial in its slot; one that an interruption cut has a further one."""

    trial: int
    begin_seconds: float
    """When it was given the slot, in the sweep's wall time over all its attempts."""
    end_seconds: float


class TrialShare(Document):
    """What each trial of a sweep got of a machine, where the placement left that open."""

    cpus: int
    reason: str
    milliseconds: dict[str, float]
    """Of a training step, by the threads that were tried; empty if there was no choice."""
    gpu_bytes: int | None = None
    """What the base job allocated on a GPU; null on CPUs."""


class ConfirmedTrial(Document):
    """A configuration of a sweep, trained to all its epochs with further seeds."""

    trial: int
    runs: list[str]
    """One for each seed."""
    accuracies: list[float | None]
    """On the validation images of each seed; null for a run that diverged."""
    mean: float | None
    """Null if a run diverged."""
    half_width: float | None
    """Of the mean's 95 % interval by Student's t."""


class ConfirmedGap(Document):
    """The winner's mean lead over one rival, from differences within each seed."""

    rival: int
    mean: float
    half_width: float
    """Of a Student's t interval that holds for all rivals at once with 95 % (Bonferroni)."""


class Confirmation(Document):
    """The best configurations of a sweep with seeds that it did not choose them by."""

    seeds: list[int]
    trials: list[ConfirmedTrial]
    """In the sweep's own order: the winner first."""
    gaps: list[ConfirmedGap]
    """Empty without a rival, and where a run diverged."""
    winner: Literal["stands", "open", "falls"]
    """Falls: a rival leads beyond the interval, or the winner diverged; open: cannot be told."""
