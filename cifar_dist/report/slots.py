"""Who worked when: a sweep's trials in lanes, one for each slot, and how its time was spent."""

from dataclasses import dataclass

from cifar_dist.documents import TrialSpan, TuneDocument


@dataclass(frozen=True)
class Lanes:
    """Spans that do not overlap, lane by lane; seconds are sums over all lanes."""

    lanes: list[list[TrialSpan]]
    are_told: bool
    """Whether it was kept how many slots there were; else they are those that were in use."""
    wall_seconds: float
    start_seconds: float
    """Slot free to first optimizer step."""
    train_seconds: float
    other_seconds: float
    """Of trials, beside these: evaluation, checkpoints, reports."""

    @property
    def idle_seconds(self) -> float:
        """Slots without a trial, from the sweep's beginning to its last event."""
        used = self.start_seconds + self.train_seconds + self.other_seconds
        return max(0.0, len(self.lanes) * self.wall_seconds - used)

    @property
    def shares(self) -> dict[str, float]:
        """What the slots' time went to."""
        total = len(self.lanes) * self.wall_seconds or 1.0
        return {
            "training": self.train_seconds / total,
            "evaluation and storage": self.other_seconds / total,
            "start-up": self.start_seconds / total,
            "idle": self.idle_seconds / total,
        }


def lanes(document: TuneDocument) -> Lanes:
    """Put each span into the first lane that is free; which process ran it is not kept."""
    found: list[list[TrialSpan]] = [[] for _ in range(document.slots or 0)]
    for span in sorted(document.spans, key=lambda span: (span.begin_seconds, span.trial)):
        free = (lane for lane in found if not lane or lane[-1].end_seconds <= span.begin_seconds)
        if (lane := next(free, None)) is None:
            found.append(lane := [])
        lane.append(span)
    busy = sum(span.end_seconds - span.begin_seconds for span in document.spans)
    start = min(busy, sum(trial.start_seconds or 0.0 for trial in document.trials))
    train = min(busy - start, sum(trial.train_seconds for trial in document.trials))
    return Lanes(
        lanes=found,
        are_told=document.slots is not None,
        wall_seconds=document.cost.wall_seconds,
        start_seconds=start,
        train_seconds=train,
        other_seconds=busy - start - train,
    )
