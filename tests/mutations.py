"""Job and search-space files gone wrong in ways that are drawn from a seed."""

import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from cifar_dist.config import dump_yaml, parse_job, parse_yaml, shipped_recipes
from cifar_dist.errors import ConfigError
from cifar_dist.search import shipped_spaces

TOKENS = [
    "", " ", "~", "null", "true", "no", "-1", "0", "1", "2", "1.5", "-0.0", "1e-3", "1e308",
    "1e999", "5e-324", "999999999999999999", "9" * 400, "012", "0x10", "1_000", "1:30:00", ".nan",
    ".inf", "-.inf", "NaN", "2026-01-01", "é", "Ａ", "\u202e", "\U0001f600", "\x85", "\ufeff",
    "\x1b[2J", "a" * 5000, "[]", "{}", "[1, 2]", "[[1]]", "{a: 1}", "{name: }",
    "{name: sgd, lr: 0.1}", "'3'", '"\\0"', '"\\ud800"', "*x", "&x 1",
    "!!python/object/apply:os.system [ls]", "!!binary aGk=", "!x 1", "<<: {a: 1}", "---", "...",
    "%YAML 1.1", "? a", "- ", ": ", "# x", "|", ">-", "'", '"', "{", "]", "\t", "\r", "\x00",
    "lambda: 0", "tune.uniform(0, 1)", "${HOME}", "../x", "sgd", "lenet5", "recipe.optimizer.lr",
    "choice", "when", "{uniform: [0.1, 0.2]}", "{choice: [1, 2]}",
    "{integer: [0, 9007199254740993]}", "{loguniform: [0, 1]}",
]  # fmt: skip

Mutation = Callable[[str, random.Random], str]


def originals() -> list[tuple[str, str]]:
    """Give every file to begin with: the command that reads it, and its text."""
    spaces = [path.read_text("utf-8") for path in shipped_spaces().values()]
    jobs = [path.read_text("utf-8") for path in shipped_recipes().values()]
    jobs.append(dump_yaml(parse_job(None).model_dump(mode="json")))
    return [("tune", text) for text in spaces] + [("train", text) for text in jobs]


def mutated(text: str, draw: random.Random) -> bytes:
    """Give a text changed once to three times, as bytes that need not be UTF-8."""
    for _ in range(draw.choice((1, 1, 2, 3))):
        text = draw.choice(_MUTATIONS)(text, draw)
    return draw.choice((_plain, _plain, _plain, _plain, _damaged, _wide))(text, draw)


def _lines(text: str, draw: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [text]
    first, second = draw.randrange(len(lines)), draw.randrange(len(lines))
    kind = draw.randrange(4)
    if kind == 0:
        del lines[first]
    elif kind == 1:
        lines.insert(second, lines[first])
    elif kind == 2:
        lines[first], lines[second] = lines[second], lines[first]
    else:
        lines[first] = draw.choice(("  ", "\t", " ")) + lines[first]
    return "".join(lines)


def _truncated(text: str, draw: random.Random) -> str:
    return text[: draw.randrange(len(text) + 1)]


def _inserted(text: str, draw: random.Random) -> str:
    at = draw.randrange(len(text) + 1)
    return text[:at] + draw.choice(TOKENS) + text[at:]


def _misspelled(text: str, draw: random.Random) -> str:
    if not text:
        return text
    at = draw.randrange(len(text))
    return (
        text[:at] + chr(draw.choice((draw.randrange(128), draw.randrange(0xD800)))) + text[at + 1 :]
    )


def _nested(text: str, draw: random.Random) -> str:
    at = draw.randrange(len(text) + 1)
    return text[:at] + draw.choice("[{-") * draw.choice((3, 50, 3000)) + text[at:]


def _replaced(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    words[draw.randrange(len(words))] = draw.choice(TOKENS)
    return " ".join(words)


def _restructured(text: str, draw: random.Random) -> str:
    """Change one value or key of what the text says; a text that says nothing stays."""
    try:
        data = parse_yaml(text, "mutated")
    except ConfigError:  # mutated before
        return text
    places = list(_places(data))
    if places:
        holder, key = draw.choice(places)
        _changed(holder, key, places, draw)
    return draw.choice((dump_yaml, json.dumps))(data)


def _changed(holder: Any, key: Any, places: list[tuple[Any, Any]], draw: random.Random) -> None:
    old = holder[key]
    kind = draw.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        other, place = draw.choice(places)
        holder[key] = deepcopy(other[place])
    elif kind == 2:
        holder[key] = [old] * draw.choice((1, 2, 70, 2000))
    elif kind == 3 and isinstance(holder, dict):
        del holder[key]
        holder[draw.choice((f"{key}x", str(key)[1:], str(key).upper(), "name", ""))] = old
    elif kind == 4 and isinstance(old, int | float):
        holder[key] = old * draw.choice((-1, 0, 0.5, 10, 1000, 1e300))
    else:
        holder[key] = draw.choice(
            (None, True, [], {}, "", -1, 1e-320, 10**18, "x" * 999, [None], 0.3)
        )


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    entries = enumerate(data) if isinstance(data, list) else ()
    for key, value in data.items() if isinstance(data, dict) else entries:
        yield data, key
        yield from _places(value)


def _plain(text: str, draw: random.Random) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _damaged(text: str, draw: random.Random) -> bytes:
    data = bytearray(_plain(text, draw)) or bytearray(b"\n")
    for _ in range(draw.choice((1, 5))):
        data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data)


def _wide(text: str, draw: random.Random) -> bytes:
    encoding = draw.choice(("utf-16", "utf-8-sig", "latin-1", "cp1252"))
    return text.replace("\n", "\r\n").encode(encoding, "replace")


_MUTATIONS: list[Mutation] = [
    _lines, _truncated, _inserted, _inserted, _misspelled, _nested, _replaced, _replaced,
    _restructured, _restructured, _restructured, _restructured, _restructured,
]  # fmt: skip
