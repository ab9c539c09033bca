"""A ledger's segments in a store: numbered without a hole, merged where there are many."""

import hashlib
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeVar

from cifar_dist.errors import DamagedError
from cifar_dist.runs.identity import canonical
from cifar_dist.store import MissingError, Store

CHUNK = 256
"""Segments that are stored once more as one, which is what a restart then reads."""

_READERS = 8
_AHEAD = 16
_LIMIT_BYTES = 64 << 20
_KEY = re.compile(r"(\d{6})(?:\.json|/(events|merged)-(\d{6})\.jsonl)")

T = TypeVar("T")
U = TypeVar("U")


@dataclass
class Stretch:
    """What one attempt told."""

    folder: str
    count: int = 0
    """Segments that count; a fenced attempt may have written more."""
    merged: set[int] = field(default_factory=set)
    """Chunks of segments that are there as one."""


def segment_key(folder: str, number: int) -> str:
    """Give the key of an attempt's segment, counted from 1."""
    return f"{folder}/events-{number:06d}.jsonl"


def merged_key(folder: str, chunk: int) -> str:
    """Give the key of a chunk of an attempt's segments, counted from 1."""
    return f"{folder}/merged-{chunk:06d}.jsonl"


def packed(lines: bytes) -> bytes:
    """Give the bytes of a segment: its lines and a seal over them."""
    return lines + canonical({"seal": hashlib.sha256(lines).hexdigest()}) + b"\n"


def stretches(store: Store, prefix: str, below: int | None = None) -> list[Stretch]:
    """Find what the attempts of a sweep told, the oldest first; those from `below` on left out.

    An attempt says at its beginning how much of those before it counts. A listing may miss the
    newest segments, so the numbers after the last one listed are read. Raises DamagedError.
    """
    found: list[Stretch] = []
    counted: Mapping[str, int] | None = None
    listed = _listed(store, f"{prefix}/attempts")
    for number in range(1, below or 1):  # claimed, though perhaps not listed yet
        listed.setdefault(number, Stretch(f"{prefix}/attempts/{number:06d}"))
    for number in sorted(listed, reverse=True):
        if below is not None and number >= below:
            continue
        stretch = listed[number]
        if counted is not None:
            stretch.count = counted.get(str(number), 0)
        else:
            while _is_there(store, segment_key(stretch.folder, stretch.count + 1)):
                stretch.count += 1
            counted = _counted(store, stretch) if stretch.count else None
        found.append(stretch)
    return found[::-1]


def events(store: Store, found: Sequence[Stretch]) -> Iterator[dict[str, Any]]:
    """Read events in the order they were told, a few segments at a time. Raises DamagedError."""
    pieces = chain.from_iterable(_pieces(stretch) for stretch in found)
    with ThreadPoolExecutor(_READERS) as readers:
        yield from chain.from_iterable(
            _ahead(readers, lambda piece: _read_piece(store, *piece), pieces)
        )


def _listed(store: Store, top: str) -> dict[int, Stretch]:
    found: dict[int, Stretch] = {}
    for entry in store.entries(top):
        if not (match := _KEY.fullmatch(entry.key, len(top) + 1)):
            continue
        stretch = found.setdefault(int(match[1]), Stretch(f"{top}/{match[1]}"))
        if match[2] == "merged":
            stretch.merged.add(int(match[3]))
            stretch.count = max(stretch.count, CHUNK * int(match[3]))
        elif match[2] == "events":
            stretch.count = max(stretch.count, int(match[3]))
    return found


def _is_there(store: Store, key: str) -> bool:
    try:
        store.read(key, _LIMIT_BYTES)
    except MissingError:
        return False
    return True


def _counted(store: Store, stretch: Stretch) -> Mapping[str, int] | None:
    """Give how many segments of each older attempt count, by what this one began with."""
    first = _read_piece(store, *next(_pieces(stretch)))[0]
    base: dict[str, int] | None = first.get("base")
    return base


def _pieces(stretch: Stretch) -> Iterator[tuple[Stretch, int, int]]:
    """Give the first and last segment of what is read at once."""
    number = 1
    while number <= stretch.count:
        chunk = (number - 1) // CHUNK + 1
        last = CHUNK * chunk if chunk in stretch.merged else number
        # A fenced attempt may have merged what counts with what does not.
        last = last if last <= stretch.count else number
        yield stretch, number, last
        number = last + 1


def _read_piece(store: Store, stretch: Stretch, first: int, last: int) -> list[dict[str, Any]]:
    if first < last:
        key = merged_key(stretch.folder, last // CHUNK)
        with suppress(MissingError, DamagedError):  # its segments are there, too
            return _read(store, key)
    numbers = range(first, last + 1)
    lists = [_read_segment(store, segment_key(stretch.folder, number)) for number in numbers]
    return list(chain.from_iterable(lists))


def _read_segment(store: Store, key: str) -> list[dict[str, Any]]:
    try:
        return _read(store, key)
    except MissingError as error:
        raise DamagedError(
            f"{key} is missing in {store.uri}, though the sweep's driver wrote it; restore it "
            "from a backup, or start the sweep again with --fresh"
        ) from error


def _read(store: Store, key: str) -> list[dict[str, Any]]:
    def parsed(data: bytes) -> list[dict[str, Any]]:
        *lines, seal = data.splitlines(keepends=True) or [b""]
        if not lines or packed(b"".join(lines)) != b"".join([*lines, seal]):
            raise DamagedError(
                f"{key} in {store.uri} is damaged; restore it from a backup, "
                "or start the sweep again with --fresh"
            )
        return [json.loads(line) for line in lines]

    return store.parsed(key, _LIMIT_BYTES, parsed)


def _ahead(readers: ThreadPoolExecutor, work: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
    """Map in order and in threads, a few items ahead of whoever asks."""
    begun: deque[Future[U]] = deque()
    for item in items:
        begun.append(readers.submit(work, item))
        if len(begun) == _AHEAD:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()
