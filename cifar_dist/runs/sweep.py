"""A sweep in a store: what it was asked for, at first and by each extension, and its results."""

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from cifar_dist.runs.dossier import RESULT, Dossier
from cifar_dist.runs.run import Run
from cifar_dist.runs.seal import sealed
from cifar_dist.runs.segments import events, stretches

SHARE = "share.json"
"""The record of what share of a machine each trial gets."""

_EXTENSION = "cifar-dist/extension/1"


@dataclass(frozen=True)
class Goal:
    """What a sweep was asked for last: when it began, or by its newest extension or budget."""

    extension: int = 0
    """Which one, counted from 1; 0 is the sweep as it began."""
    trials: int | None = None
    """How many in all; None: as many as its space says."""
    added: int = 0
    """How many of them by this extension."""
    final: dict[str, Any] = field(default_factory=dict)
    """What changes the winner's job for its retraining; empty: it is kept as it is."""
    spent_seconds: float = 0.0
    """Wall time that the sweep had taken before, which its budget does not count again."""
    spent_cpu_seconds: float = 0.0
    """CPU time of which the same holds."""
    spent_gpu_seconds: float = 0.0
    """GPU time of which the same holds."""
    budget: dict[str, Any] | None = None
    """What the sweep may spend; None: what its space says."""


class Sweep(Dossier):
    """Many trials of one job; trial n is a run of its own below it."""

    HEAD = "sweep.json"

    @property
    def name(self) -> str:
        """The sweep's id."""
        return self.prefix.rpartition("/")[2]

    @property
    def goal(self) -> Goal:
        """What it was asked for last. Raises MissingError, DamagedError."""
        number, newest = self._newest_extension()
        if newest is None:
            return Goal(final=self.document.get("final", {}))
        asked = {each.name: newest[each.name] for each in fields(Goal) if each.name in newest}
        return Goal(extension=number, **asked)

    def extend(self, goal: Goal) -> None:
        """Ask for more. Raises RefusedError if another process did at the same time."""
        document = {"schema": _EXTENSION, **asdict(goal)}
        number = document.pop("extension")
        self.store.write(self.key(_extension(number)), sealed(document))

    @property
    def finished(self) -> dict[str, Any] | None:
        """The result of what it was asked for last; None before."""
        return self.recorded(_result(self._newest_extension()[0]))

    @property
    def result(self) -> dict[str, Any] | None:
        """The newest result; while an extension runs, the one before it."""
        for extension in range(self._newest_extension()[0], -1, -1):
            if (found := self.recorded(_result(extension))) is not None:
                return found
        return None

    def finish(self, result: dict[str, Any], extension: int = 0) -> dict[str, Any]:
        """Mark the end of what was asked for; gives the stored result, the first one's."""
        return self.record(_result(extension), result)

    @property
    def confirmed(self) -> dict[str, Any] | None:
        """What the newest result's best trials came to with further seeds; None before."""
        return self._newest_confirmation()[1]

    def confirm(self, confirmation: dict[str, Any]) -> dict[str, Any]:
        """Keep another confirmation of the newest result; gives the stored one."""
        return self.record(self._newest_confirmation()[0], confirmation)

    def trial(self, number: int, training: int | None = None) -> Run:
        """Give the run of a trial, or that of one of its trainings."""
        return Run(self.store, self.key(f"trials/{number:06d}"), training)

    def events(self) -> Iterator[dict[str, Any]]:
        """Read all events in the order they were told. Raises DamagedError."""
        return events(self.store, stretches(self.store, self.prefix))

    def _newest_confirmation(self) -> tuple[str, dict[str, Any] | None]:
        """Give it, and the name of the one that would follow."""
        folder, newest = f"confirmations/{self._newest_extension()[0]:06d}", None
        for number in itertools.count(1):
            name = f"{folder}/{number:06d}.json"
            if (found := self.recorded(name)) is None:
                break
            newest = found
        return name, newest

    def _newest_extension(self) -> tuple[int, dict[str, Any] | None]:
        # By reading, as a listing may miss the newest.
        number, newest = 0, None
        while (found := self.recorded(_extension(number + 1))) is not None:
            number, newest = number + 1, found
        return number, newest


def _extension(number: int) -> str:
    return f"extensions/{number:06d}.json"


def _result(extension: int) -> str:
    return f"extensions/{extension:06d}/{RESULT}" if extension else RESULT
