"""What a sweep's events add up to: folded as they happen, or again from the ledger."""

from collections.abc import Iterable, Mapping
from typing import Any

from cifar_dist.documents import EpochRecord, Rung, TrialRow, TrialSpan
from cifar_dist.search import Observation

Event = Mapping[str, Any]

_TIMED = ("seconds", "images_per_second")  # what training an epoch again may change
_FIELDS = (*(name for name in EpochRecord.model_fields if name not in _TIMED), *_TIMED)
_OF_A_ROW = ("state", "reason", "epochs", "best_epoch", "validation_loss", "validation_accuracy")
_TIMES = ("start_seconds", "train_seconds")


class Tally:
    """The trials of a sweep, the cost so far and what ASHA heard, after some events of its ledger.

    Epochs are kept as plain values: there may be a hundred thousand of them.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.overrides: dict[int, dict[str, Any]] = {}
        """What makes each trial, in the order they were asked for."""
        self.rungs: dict[int, dict[int, float]] = {}
        """By trial, epoch to value."""
        self.ends: dict[int, Event] = {}
        """How trials ended, in that order."""
        self.heard: list[tuple[int, int, float]] = []
        """Trial, epoch and value that ASHA was told, in that order."""
        self.spans: list[TrialSpan] = []
        """When trials held their slots, in the order they left them."""
        self.slots: int | None = None
        """The most trials at once of any attempt, as far as that was told."""
        self.cpu_seconds = self.gpu_seconds = 0.0
        self._histories: dict[int, list[tuple[Any, ...]]] = {}
        self._trainings: dict[int, int] = {}
        """Lengths of what is trained now, by those trials that are trained anew at each rung."""
        self._replaced: dict[int, tuple[int, float]] = {}
        """Epochs and seconds of the trainings before, by the same trials."""
        self._known: dict[int, Observation] = {}
        self._reserved = (0.0, 0.0)
        self._past_seconds = self._at_seconds = 0.0
        self._since: dict[int, float] = {}
        """When the trials that hold a slot in this attempt began."""
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        """Take in the next event."""
        if event["event"] == "open":
            self.settle()
            self._past_seconds += self._at_seconds
            self._reserved = event["cpus"], event["gpus"]
            self.slots = max(self.slots or 0, event.get("slots") or 0) or None
        self._at_seconds = event["at_seconds"]
        match event["event"]:
            case "start":
                self._start(event["trial"], event["overrides"])
            case "epoch":
                self._epoch(event["trial"], event)
            case "rung":
                self._rung(event["trial"], event["epoch"], event["value"])
            case "end":
                self._end(event["trial"], event)
            case "close":
                self.settle()

    @property
    def unfinished(self) -> list[int]:
        """The trials that were asked for and have not ended, in the order of their numbers."""
        return sorted(self.overrides.keys() - self.ends.keys())

    @property
    def wall_seconds(self) -> float:
        """How long all attempts took together, each up to its last event."""
        return self._past_seconds + self._at_seconds

    @property
    def observations(self) -> list[Observation]:
        """What a sampler may know: one for each trial, in the order they were asked for."""
        for number in self.overrides.keys() - self._known.keys():
            self._known[number] = self._observed(number)
        return [self._known[number] for number in self.overrides]

    def settle(self) -> None:
        """Let no trial hold a slot any more: the attempt ended, perhaps without a word."""
        for number in list(self._since):
            self._leave(number, self._at_seconds)

    def reopen(self) -> None:
        """Let the trials that only a spent budget ended go on."""
        for number in [number for number, end in self.ends.items() if end.get("cut")]:
            del self.ends[number]
            self._known.pop(number, None)

    def reached(self, number: int) -> int:
        """Give how many epochs of a trial's newest training were told."""
        return len(self._histories[number])

    def stands_at(self, number: int, rung: int) -> bool:
        """Tell whether nothing was told of a trial after a rung of so many epochs."""
        return max(self.reached(number), self._trainings.get(number, 0)) <= rung

    def replaced(self, number: int) -> tuple[int, float]:
        """Give the epochs and seconds of a trial's trainings that a longer one replaced."""
        return self._replaced.get(number, (0, 0.0))

    def history(self, number: int) -> list[EpochRecord]:
        """Give the epochs of a trial's newest training."""
        rows = self._histories[number]
        return [EpochRecord(**dict(zip(_FIELDS, values, strict=True))) for values in rows]

    def is_new(self, number: int, record: Event) -> bool:
        """Tell whether a trial's epoch was not told yet, or came out otherwise then."""
        known, epoch = self._histories[number], record["epoch"]
        if record.get("training") != self._trainings.get(number):
            return True
        return epoch > len(known) or _learned(known[epoch - 1]) != _learned(_values(record))

    def row(self, number: int, *, in_brief: bool = False) -> TrialRow:
        """Give the row of a trial that ended, in brief without its epochs."""
        end, history = self.ends[number], [] if in_brief else self.history(number)
        rungs = self.rungs[number].items()
        return TrialRow(
            trial=number,
            parameters=self.overrides[number],
            history=history,
            rungs=[Rung(epoch=epoch, value=value) for epoch, value in rungs],
            replaced_epochs=self.replaced(number)[0],
            **{name: end[name] for name in _OF_A_ROW + _TIMES},
        )

    def _start(self, number: int, overrides: dict[str, Any]) -> None:
        self.overrides[number] = overrides
        self._histories.setdefault(number, [])
        self.rungs.setdefault(number, {})
        self.ends.pop(number, None)
        self._since[number] = self._at_seconds
        self._known.pop(number, None)

    def _epoch(self, number: int, event: Event) -> None:
        training = event.get("training")
        if training is not None and training != self._trainings.get(number):
            self._replace(number, training)
        self._histories[number][event["epoch"] - 1 :] = [_values(event)]
        self._known.pop(number, None)

    def _replace(self, number: int, training: int) -> None:
        epochs, seconds = self.replaced(number)
        history = self.history(number)
        spent = seconds + sum(record.seconds for record in history)
        self._replaced[number] = epochs + len(history), spent
        self._trainings[number], self._histories[number] = training, []

    def _rung(self, number: int, epoch: int, value: float) -> None:
        self.rungs[number][epoch] = value
        self.heard.append((number, epoch, value))

    def _end(self, number: int, event: Event) -> None:
        self.ends[number] = event
        if event["heard"] is not None:
            self.heard.append((number, *event["heard"]))
        self._leave(number, self._at_seconds)
        self._known.pop(number, None)

    def _leave(self, number: int, until: float) -> None:
        since, past = self._since.pop(number, None), self._past_seconds
        if since is None:
            return
        busy = until - since
        span = TrialSpan(trial=number, begin_seconds=past + since, end_seconds=past + until)
        self.spans.append(span)
        cpus, gpus = self._reserved
        self.cpu_seconds += cpus * busy
        self.gpu_seconds += gpus * busy

    def _observed(self, number: int) -> Observation:
        records = [dict(zip(_FIELDS, row, strict=True)) for row in self._histories[number]]
        accuracies = {record["epoch"]: record["validation_accuracy"] for record in records}
        values = {epoch: value for epoch, value in accuracies.items() if value is not None}
        end = self.ends.get(number)
        state: Any = end["state"] if end else "running"
        score = end["validation_accuracy"] if end else None
        return Observation(number, self.overrides[number], state, values, score)


def _values(record: Event) -> tuple[Any, ...]:
    return tuple(record[name] for name in _FIELDS)


def _learned(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return values[: -len(_TIMED)]
