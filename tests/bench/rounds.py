"""Two sides of a comparison, measured by turns in one run: rows, rounds and what they came to."""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tests.bench.load import Load

ROUNDS = 5
MOST_FOREIGN = 0.25
"""Share of the CPUs that others may take; a measurement beside more is invalid."""

Side = Callable[[], float]
"""Measures one round: a rate or seconds, in the row's unit."""


class Absent(Exception):  # noqa: N818 - a state, not a fault
    """What a row or a side needs is not here; says in one sentence what, and that it is skipped."""


@dataclass(frozen=True)
class Setting:
    """What every row of a run shares."""

    data: str = "sample"
    seed: int = 0
    seconds: float = 3.0
    """Of one round of one side, for sides that repeat their work."""
    smoke: bool = False
    """Whether a few steps on tiny nets are enough, to see that the row runs."""
    notes: list[str] = field(default_factory=list)
    """What sides tell beside their figures, such as the accuracy they ended with."""


@dataclass(frozen=True)
class Row:
    """One comparison: `sides` builds ours and the reference; either may raise Absent when run.

    Its figure is ours ÷ reference. Goals are texts like `>= 8`; `absolute_goal` is of ours alone.
    """

    name: str
    what: str
    unit: str
    goal: str
    sides: Callable[[Setting], tuple[Side, Side]]
    higher_is_better: bool = True
    is_long: bool = False
    """Whether it is run only when asked for by its name, and then without a round to warm up."""
    absolute_goal: str = ""
    rounds: int = ROUNDS
    """Rounds unless another number is asked for."""


@dataclass(frozen=True)
class Round:
    """One measurement of each side, one right after the other."""

    ours: float | None
    reference: float | None
    foreign: float | None

    @property
    def ratio(self) -> float | None:
        """Ours ÷ reference; None if a side is absent."""
        if self.ours is None or not self.reference:
            return None
        return self.ours / self.reference


@dataclass(frozen=True)
class Spread:
    """Median, best and the middle 80 % of a figure."""

    median: float
    best: float
    p10: float
    p90: float

    @classmethod
    def of(cls, values: Sequence[float], higher_is_better: bool = True) -> "Spread":
        """Summarize at least one value."""
        cuts = statistics.quantiles(values, n=10, method="inclusive") if len(values) > 1 else values
        best = max(values) if higher_is_better else min(values)
        return cls(statistics.median(values), best, cuts[0], cuts[-1])


@dataclass(frozen=True)
class Result:
    """What a row came to, as it is printed and kept; sides that are absent are None."""

    name: str
    what: str
    unit: str
    goal: str
    absolute_goal: str
    higher_is_better: bool
    smoke: bool
    rounds: list[Round]
    ratio: Spread | None = None
    ours: Spread | None = None
    reference: Spread | None = None
    is_met: bool | None = None
    """None: not measured, or nothing was asked."""
    unmeasured: str = ""
    """Why there is no ratio."""
    notes: list[str] = field(default_factory=list)
    foreign: float | None = None
    """Mean share of the CPUs that others took while the rounds ran."""
    is_valid: bool = True
    load_before: float = 0.0
    load_after: float = 0.0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Give plain data."""
        rounds = [asdict(each) | {"ratio": each.ratio} for each in self.rounds]
        return asdict(self) | {"rounds": rounds}


def measure(row: Row, rounds: int | None, setting: Setting) -> Result:
    """Warm both sides once, then run them by turns: ours first, the reference first, and so on."""
    setting = replace(setting, notes=[])
    started, load = time.perf_counter(), Load()
    before = load.average()
    measured: list[Round] = []
    reasons: list[str] = []
    sides: list[_Watched] = []
    try:
        sides = [_Watched(side, reasons) for side in row.sides(setting)]
        for side in () if setting.smoke or row.is_long else sides:
            side()
        load = Load()
        measured = [_round(sides, number) for number in range(rounds or row.rounds)]
    except Absent as reason:
        reasons.append(str(reason))
    sides = []
    if not setting.smoke:
        gc.collect()  # what a side kept for its next round ends here: workers, a GPU's memory
    result = _summed(row, measured, setting)
    return replace(
        result,
        unmeasured=" ".join(dict.fromkeys(reasons)),
        notes=list(dict.fromkeys(setting.notes)),
        foreign=load.foreign() if measured else None,
        is_valid=not measured or (load.foreign() or 0.0) <= MOST_FOREIGN,
        load_before=before,
        load_after=load.average(),
        seconds=time.perf_counter() - started,
    )


class _Watched:
    """A side that is never called again once it said that it is absent."""

    def __init__(self, side: Side, reasons: list[str]) -> None:
        self._side, self._reasons = side, reasons
        self._is_absent = False

    def __call__(self) -> float | None:
        if self._is_absent:
            return None
        try:
            return self._side()
        except Absent as reason:
            self._reasons.append(str(reason))
            self._is_absent = True
            return None


def _round(sides: Sequence[_Watched], number: int) -> Round:
    load = Load()
    order = (0, 1) if number % 2 == 0 else (1, 0)
    found = {index: sides[index]() for index in order}
    return Round(found[0], found[1], load.foreign())


def _summed(row: Row, rounds: list[Round], setting: Setting) -> Result:
    higher = row.higher_is_better
    ratio = _spread([each.ratio for each in rounds], higher)
    ours = _spread([each.ours for each in rounds], higher)
    asked = [(row.goal, ratio), (row.absolute_goal, ours)]
    answers = [meets(figure.median, goal) for goal, figure in asked if goal and figure]
    return Result(
        name=row.name,
        what=row.what,
        unit=row.unit,
        goal=row.goal,
        absolute_goal=row.absolute_goal,
        higher_is_better=higher,
        smoke=setting.smoke,
        rounds=rounds,
        ratio=ratio,
        ours=ours,
        reference=_spread([each.reference for each in rounds], higher),
        is_met=all(answers) if answers and ratio else None,
    )


def _spread(values: Sequence[float | None], higher_is_better: bool) -> Spread | None:
    known = [value for value in values if value is not None]
    return Spread.of(known, higher_is_better) if known else None


def meets(value: float, goal: str) -> bool:
    """Tell whether a value is as a goal like `>= 8` or `<= 1.03` wants it."""
    sign, _, bound = goal.partition(" ")
    return value >= float(bound) if sign == ">=" else value <= float(bound)


def rate(work: Callable[[], int], seconds: float) -> float:
    """Do work again and again for some seconds, at least once; gives what it counts per second."""
    count, started = 0, time.perf_counter()
    while True:
        count += work()
        spent = time.perf_counter() - started
        if spent >= seconds:
            return count / spent
