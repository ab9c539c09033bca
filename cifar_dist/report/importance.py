"""Which parameters the score depends on: by forests that are tested on trials they never saw."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cifar_dist.documents import TrialRow, TuneDocument
from cifar_dist.report.axes import Axis
from cifar_dist.report.formats import decimal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Table = NDArray[np.float64]

_FEWEST = 20
_TOO_FEW = "Too few trials to say"
_REPEATS, _FOLDS, _TREES = 5, 4, 40
_MOST = 500  # scored trials that a forest learns from


@dataclass(frozen=True)
class Share:
    """What one parameter explains: the share of the score's variance lost when it is shuffled."""

    label: str
    path: str
    mean: float
    spread: float
    """Standard deviation over the repeats."""
    trials: int
    """In how many it was in use; only among these is it shuffled."""


@dataclass(frozen=True)
class Importance:
    """What a forest says about all parameters, or why it says nothing."""

    shares: list[Share]
    """Most first; empty where nothing is said."""
    trials: int
    explained: float | None = None
    """R² on trials that the forest never saw."""
    silence: str | None = None
    rule: ClassVar = (
        f"Nothing is said with fewer than {_FEWEST} scored trials, or unless forests predict "
        "trials that they never saw better than their mean does, and some parameter's importance "
        "is above zero, both by more than twice the spread."
    )


def score(trial: TrialRow) -> float | None:
    """Give a trial's validation accuracy: at its best epoch, or at the rung that pruned it."""
    if trial.state == "pruned" and trial.rungs:
        return max(trial.rungs, key=lambda rung: rung.epoch).value
    return trial.validation_accuracy


def importance(document: TuneDocument, columns: Sequence[Axis]) -> Importance:
    """Fit forests to the scored trials; one that diverged counts as guessing."""
    chance = 1 / max(len(document.data.classes), 2)
    diverged = [(trial.reason or "").startswith("diverged") for trial in document.trials]
    scores = [
        chance if lost else score(t) for t, lost in zip(document.trials, diverged, strict=True)
    ]
    rows = [index for index, value in enumerate(scores) if value is not None]
    rows = rows[:: math.ceil(len(rows) / _MOST) or 1]
    varying = [axis for axis in columns if axis.varies]
    if not varying:
        return Importance([], len(rows), silence="Nothing to say: no parameter varied.")
    if len(rows) < _FEWEST:
        return Importance([], len(rows), silence=f"{_TOO_FEW}: {len(rows)} have a score.")
    import numpy as np

    table = np.array([axis.units for axis in varying], dtype=float).T[rows]
    found = _repeats(table, np.array([scores[row] for row in rows], dtype=float))
    explained, spread = _summary(found[:, 0])
    if not explained - 2 * spread > 0:
        text = f"R² {decimal(explained, 2)} ± {decimal(spread, 2)} on trials that it never saw"
        return Importance([], len(rows), explained, f"{_TOO_FEW}: the forest has {text}.")
    shares = [
        Share(axis.label, axis.path, *_summary(found[:, 0] - found[:, index]), trials)
        for index, axis in enumerate(varying, 1)
        if (trials := int(np.isfinite(table[:, index - 1]).sum()))
    ]
    if not any(share.mean > 2 * share.spread for share in shares):
        return Importance([], len(rows), explained, f"{_TOO_FEW}: no parameter stands out.")
    return Importance(sorted(shares, key=lambda share: -share.mean), len(rows), explained)


def _repeats(table: "Table", scores: "Table") -> Any:
    """Give [repeat, 1 + parameter]: R² on held-out trials as they are, then with one shuffled."""
    import numpy as np
    from sklearn.ensemble import RandomForestRegressor  # type: ignore[import-untyped]
    from sklearn.model_selection import KFold  # type: ignore[import-untyped]

    found = np.zeros((_REPEATS, 1 + table.shape[1]))
    for repeat in range(_REPEATS):
        random = np.random.default_rng(repeat)
        errors = np.zeros(1 + table.shape[1])
        for known, held_out in KFold(_FOLDS, shuffle=True, random_state=repeat).split(table):
            forest = RandomForestRegressor(_TREES, min_samples_leaf=2, random_state=repeat)
            forest.fit(_filled(table[known]), scores[known])
            copies = [table[held_out], *_shuffled(table[held_out], random)]
            predicted = forest.predict(_filled(np.concatenate(copies))).reshape(len(copies), -1)
            errors += ((predicted - scores[held_out]) ** 2).sum(1)
        found[repeat] = 1 - errors / max(((scores - scores.mean()) ** 2).sum(), 1e-12)
    return found


def _shuffled(table: "Table", random: Any) -> list["Table"]:
    """Give a copy for each parameter with its values shuffled among the trials that have it."""
    import numpy as np

    copies = []
    for column in range(table.shape[1]):
        copy = table.copy()
        used = np.flatnonzero(np.isfinite(copy[:, column]))
        copy[used, column] = random.permutation(copy[used, column])
        copies.append(copy)
    return copies


def _filled(table: "Table") -> "Table":
    import numpy as np

    return np.nan_to_num(table, nan=-1.0)  # below all values: a tree can tell it apart


def _summary(values: Any) -> tuple[float, float]:
    numbers = [float(value) for value in values]
    return statistics.fmean(numbers), statistics.stdev(numbers)
