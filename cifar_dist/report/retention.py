"""What cleaning up and pinning say in a terminal."""

import re
import textwrap
from collections.abc import Iterator

from cifar_dist.documents import GcDocument, GcRow, PinsDocument, ServingCheckpoint
from cifar_dist.report.columns import aligned, printable
from cifar_dist.report.formats import DASH, counted, size

_WHY_WIDTH = 64
_HOUR = 3600
_PLACE = re.compile(r"(?:/trials/(\d+))?/attempts/(\d+)/step-(\d+)$")


def gc_table(document: GcDocument) -> str:
    """One row per run and sweep: what goes, and which checkpoints stay and why."""
    header = ["run or sweep", "state", "goes", "size", "stays"]
    body = aligned(header, [line for row in document.rows for line in _lines(row)], (0, 1, 4))
    verb = "would go" if document.dry_run else "went"
    total = f"{counted(document.objects, 'object')}, {size(document.bytes)} {verb}"
    uploads = counted(document.unfinished_uploads, "unfinished upload")
    age = f"{document.older_than_seconds / _HOUR:.0f} h"
    return f"{body}\n{total}, and {uploads} older than {age}"


def pins_table(document: PinsDocument) -> str:
    """One row per name and where it points."""
    rows = [[name, _place(key)] for name, key in document.pins.items()]
    return f"{printable(document.run)}\n{aligned(['pin', 'checkpoint'], rows, (0, 1))}"


def serving_lines(serving: list[ServingCheckpoint]) -> list[str]:
    """Say of each run what a resume would use, and which of its named checkpoints are intact."""
    return [f"{printable(each.run)}: {_serves(each)}" for each in serving]


def _serves(each: ServingCheckpoint) -> str:
    if each.name == "latest":
        if each.key is None:
            return "no checkpoint is intact, so it cannot be resumed; restore one from a backup"
        return f"resume would use {_place(each.key)}"
    place = DASH if each.key is None else _place(each.key)
    remedy = "" if each.verdict == "intact" else "; restore it from a backup, or use another one"
    return f"{printable(each.name)} ({place}) is {each.verdict}{remedy}"


def _lines(row: GcRow) -> Iterator[list[str]]:
    if row.note is not None:
        stays = row.note
    else:
        stays = "; ".join(f"{why}: {', '.join(steps)}" for why, steps in _reasons(row).items())
    lines = textwrap.wrap(printable(stays), _WHY_WIDTH) or ["no checkpoint"]
    yield [row.key, row.state, counted(row.objects, "object"), size(row.bytes), lines[0]]
    yield from (["", "", "", "", line] for line in lines[1:])


def _reasons(row: GcRow) -> dict[str, list[str]]:
    """Give the steps that stay by why they do, the newest first."""
    steps: dict[str, list[str]] = {}
    for kept in sorted(row.kept, key=lambda kept: kept.key, reverse=True):
        for why in kept.why:
            steps.setdefault(why, []).append(_place(kept.key).partition(" of ")[0])
    return dict(sorted(steps.items(), key=lambda item: item[0] != "newest"))


def _place(folder: str) -> str:
    found = _PLACE.search(folder)
    if found is None:
        return printable(folder)
    trial = f"trial {int(found[1])} " if found[1] else ""
    return f"{trial}step {int(found[3])} of attempt {int(found[2])}"
