"""What a benchmark prints: a header, and some lines per row."""

from collections.abc import Sequence
from typing import Any

from tests.bench.rounds import MOST_FOREIGN, Result, Row, Spread

_THOUSAND = 1_000


def header(document: dict[str, Any], load: float) -> str:
    """Say on what and with what is measured."""
    machine, versions = document["machine"], document["versions"]
    known = [f"{name} {value or 'absent'}" for name, value in versions.items()]
    return (
        f"{machine['cpu']}, {machine['cores_owned']} of {machine['cores']} cores owned, "
        f"{document['threads']} threads, "
        f"{machine['gpu'] or 'no GPU'}, load {load:.1f}\n"
        f"{', '.join(known)}\n"
        f"data {document['data']}, seed {document['seed']}, {document['started']} UTC\n\n"
    )


def listing(rows: Sequence[Row]) -> str:
    """Name rows, their goals and what they compare."""
    width = max((len(row.name) for row in rows), default=0)
    return "".join(
        f"{row.name:<{width}}  {_goals(row.goal, row.absolute_goal):<22}"
        f"{'long  ' if row.is_long else ''}{row.what}\n"
        for row in rows
    )


def row(result: Result) -> str:
    """Show one row's ratio, both absolute figures, its goal and the load beside it."""
    lines = [f"{result.name}: {result.what}"]
    if result.ratio is not None:
        goal = _goals(result.goal, result.absolute_goal)
        lines.append(
            f"  ratio {_spread(result.ratio)} in {len(result.rounds)} rounds; "
            f"goal {goal or 'none'}{_verdict(result)}"
        )
    for side, spread in (("ours", result.ours), ("reference", result.reference)):
        if spread is not None:
            lines.append(f"  {side:<9} {_spread(spread)} {result.unit}")
    lines += [f"  {note}" for note in result.notes]
    if result.unmeasured:
        lines.append(f"  unmeasured: {result.unmeasured}")
    lines.append(
        f"  load {result.load_before:.1f} -> {result.load_after:.1f}, "
        f"foreign CPU {_share(result.foreign)}, {result.seconds:.0f} s{_validity(result)}"
    )
    return "\n".join(lines) + "\n\n"


def _goals(*goals: str) -> str:
    return " and ".join(goal for goal in goals if goal)


def _verdict(result: Result) -> str:
    if result.is_met is None or result.smoke:
        return ""
    return ": met" if result.is_met else ": MISSED"


def _validity(result: Result) -> str:
    if result.is_valid:
        return ""
    return f" — INVALID: others took more than {MOST_FOREIGN:.0%} of the CPUs"


def _share(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.0%}"


def _spread(spread: Spread) -> str:
    median, best, low, high = map(_number, (spread.median, spread.best, spread.p10, spread.p90))
    return f"{median} (best {best}, 10-90 % {low} to {high})"


def _number(value: float) -> str:
    if abs(value) >= _THOUSAND:
        return f"{value:,.0f}"
    return f"{value:.3g}"
