"""What a study of a sweep found, as text tables and as plain data."""

from dataclasses import asdict
from typing import Any

from cifar_dist.report.columns import aligned
from cifar_dist.report.formats import DASH, decimal, duration, percent, thousands
from cifar_dist.report.study import Study


def study_tables(found: Study) -> list[str]:
    """Write importance, rungs, savings and the use of the slots, as far as there are any."""
    return [*_importance(found), *_rungs(found), "\n".join(_costs(found))]


def study_data(found: Study) -> dict[str, Any]:
    """Give the same as plain data, for JSON."""
    return {
        "importance": {**asdict(found.importance), "rule": found.importance.rule},
        "rungs": [asdict(row) for row in found.rungs],
        "savings": {**asdict(found.savings), "share": found.savings.share},
        "slots": {
            "count": len(found.lanes.lanes),
            "were_told": found.lanes.are_told,
            "shares": found.lanes.shares,
        },
    }


def _importance(found: Study) -> list[str]:
    if found.importance.silence:
        return [f"importance of the parameters: {found.importance.silence}"]
    header = ["parameter", "importance", "± sd", "trials", "path"]
    rows = [
        [s.label, decimal(s.mean, 3), decimal(s.spread, 3), thousands(s.trials), s.path]
        for s in found.importance.shares
    ]
    return [aligned(header, rows, left=(0, 4))]


def _rungs(found: Study) -> list[str]:
    if not found.rungs:
        return []
    header = ["rung", "reached", "went on", "cut", "lowest", "highest", "winner", "overtaken later"]
    rows = [
        [
            str(row.epoch),
            *map(thousands, (row.reached, row.went_on, len(row.cut))),
            percent(row.lowest),
            percent(row.highest),
            thousands(row.winner_place),
            f"{row.overtaken:,} of {row.pairs:,} pairs" if row.pairs else DASH,
        ]
        for row in found.rungs
    ]
    return [aligned(header, rows)]


def _costs(found: Study) -> list[str]:
    saved, lanes = found.savings, found.lanes
    lines = [
        f"training: {duration(saved.spent_seconds)} of {duration(saved.full_seconds)} without "
        f"pruning, {percent(saved.share, 1)} saved"
    ]
    if any(lanes.lanes):
        shares = ", ".join(f"{percent(share, 1)} {what}" for what, share in lanes.shares.items())
        lines.append(f"slots: {len(lanes.lanes)}; {shares}")
    return lines
