"""Whether a sweep's winner stands with further seeds: means, intervals and differences by seed."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Literal

from cifar_dist.documents import Confirmation, ConfirmedGap, ConfirmedTrial, TuneDocument
from cifar_dist.report.columns import aligned
from cifar_dist.report.formats import counted, percent, points

_LEVEL = 0.95


def confirmation(
    seeds: Sequence[int], results: Mapping[int, Sequence[tuple[str, float | None]]]
) -> Confirmation:
    """Compare trials, the winner first, by run and validation accuracy for each seed.

    The same seed gives all trials the same split, so that differences are taken within a seed.
    """
    rows = {
        number: _row(number, [run for run, _ in found], [value for _, value in found])
        for number, found in results.items()
    }
    winner, *rivals = rows.values()
    gaps = [_gap(winner, rival, len(rivals)) for rival in rivals if None not in rival.accuracies]
    if winner.mean is None:
        gaps = []
    return Confirmation(
        seeds=list(seeds), trials=list(rows.values()), gaps=gaps, winner=_stands(winner, gaps)
    )


def confirmed_sentences(document: TuneDocument) -> list[str]:
    """Say what further seeds made of the winner; nothing if it was not confirmed."""
    found = document.confirmed
    if found is None:
        return []
    winner, count = found.trials[0], counted(len(found.seeds), "further seed")
    if winner.mean is None:
        lost = winner.accuracies.count(None)
        return [f"With {count}, trial {winner.trial} diverged {counted(lost, 'time')}."]
    first = f"With {count}, trial {winner.trial} reaches {described_mean(winner)} on average"
    known = next((t.validation_accuracy for t in document.trials if t.trial == winner.trial), None)
    if known is not None:
        side = "below" if winner.mean < known else "above"
        first += f", {points(abs(known - winner.mean))} {side} the score that it won with"
    return [f"{first}.", *_compared(found)]


def confirmation_table(found: Confirmation) -> str:
    """One row per configuration: its mean, the interval, and the accuracy with each seed."""
    header = ["trial", "mean, 95 % interval", *(f"seed {seed}" for seed in found.seeds)]
    rows = [
        [str(row.trial), described_mean(row), *(percent(value) for value in row.accuracies)]
        for row in found.trials
    ]
    return aligned(header, rows)


def described_mean(trial: ConfirmedTrial) -> str:
    """Write a mean with its 95 % interval."""
    if trial.mean is None:
        return "diverged"
    width = "" if trial.half_width is None else f" ± {points(trial.half_width)}"
    return f"{percent(trial.mean)}{width}"


def _compared(found: Confirmation) -> list[str]:
    if not found.gaps:
        return []
    winner = found.trials[0].trial
    if found.winner == "stands":
        closest = min(found.gaps, key=lambda gap: gap.mean - gap.half_width)
        return [
            f"The winner stands: it leads every rival beyond the interval, the closest, trial "
            f"{closest.rival}, by {_lead(closest.mean, closest)}."
        ]
    if found.winner == "falls":
        worst = min(found.gaps, key=lambda gap: gap.mean + gap.half_width)
        return [
            f"The winner does not stand: trial {worst.rival} leads trial {winner} by "
            f"{_lead(-worst.mean, worst)}."
        ]
    untold = (gap for gap in found.gaps if abs(gap.mean) <= gap.half_width)
    rival = min(untold, key=lambda gap: gap.mean)
    lead = f"its lead over trial {rival.rival} is {_lead(rival.mean, rival)}"
    if rival.mean < 0:
        lead = f"trial {rival.rival} is ahead by {_lead(-rival.mean, rival)}"
    return [f"Whether trial {winner} is the best stays open: {lead}, which does not exclude zero."]


def _lead(mean: float, gap: ConfirmedGap) -> str:
    return f"{100 * mean:.1f} ± {points(gap.half_width)}"


def _row(number: int, runs: list[str], accuracies: list[float | None]) -> ConfirmedTrial:
    known = [value for value in accuracies if value is not None]
    is_whole = len(known) == len(accuracies) > 0
    return ConfirmedTrial(
        trial=number,
        runs=runs,
        accuracies=accuracies,
        mean=statistics.fmean(known) if is_whole else None,
        half_width=_half_width(known, _LEVEL) if is_whole else None,
    )


def _gap(winner: ConfirmedTrial, rival: ConfirmedTrial, rivals: int) -> ConfirmedGap:
    pairs = zip(winner.accuracies, rival.accuracies, strict=True)
    differences = [(one or 0.0) - (other or 0.0) for one, other in pairs]
    width = _half_width(differences, 1 - (1 - _LEVEL) / rivals)
    mean = statistics.fmean(differences)
    return ConfirmedGap(rival=rival.trial, mean=mean, half_width=width or 0.0)


def _half_width(values: Sequence[float], level: float) -> float | None:
    """Give the half width of a mean's interval by Student's t; None for a single value."""
    if len(values) < 2:  # noqa: PLR2004
        return None
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    quantile = float(stdtrit(len(values) - 1, (1 + level) / 2))
    return quantile * statistics.stdev(values) / math.sqrt(len(values))


def _stands(
    winner: ConfirmedTrial, gaps: Sequence[ConfirmedGap]
) -> Literal["stands", "open", "falls"]:
    if winner.mean is None or any(gap.mean + gap.half_width < 0 for gap in gaps):
        return "falls"
    stands = bool(gaps) and all(gap.mean - gap.half_width > 0 for gap in gaps)
    return "stands" if stands else "open"
