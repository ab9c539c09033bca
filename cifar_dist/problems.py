"""A wrong value as one sentence: field, value, rule and the nearest valid name."""

import difflib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from cifar_dist.redaction import redacted

_SHOWN = 60  # characters of a wrong value that are repeated to the user
_READ = 4096  # characters of it that are looked through for secrets
_ITS_TYPE = re.compile(r"^(Value error, |(Input|String|List|Dictionary|Tuple) (?=should ))")
_LISTED = 12  # valid names that are listed when none is near


def nearest(name: object, valid: Iterable[str]) -> str:
    """Say which valid name was probably meant, or list what there is."""
    names = sorted(valid)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    more = ", …" if len(names) > _LISTED else ""
    return f"valid: {', '.join(names[:_LISTED])}{more}"


def shown(value: object) -> str:
    """Repeat a value safely: short, on one line, without control characters and secrets."""
    plain = redacted((value if isinstance(value, str) else repr(value))[:_READ])
    text = ascii(plain) if isinstance(value, str) else ascii(plain)[1:-1]
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def printable(text: str) -> str:
    """Replace by '?' what would steer a terminal or turn its letters; line breaks stay."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def escaped(text: str) -> str:
    """Write the same characters of a JSON text as JSON's own escapes."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def legible(path: PurePath) -> str:
    """Write a path as text that any document can hold, whatever bytes it is made of."""
    return os.fsencode(path).decode("utf-8", "replace")


def sentences(
    errors: Iterable[Mapping[str, Any]],
    prefix: str = "",
    valid: Mapping[str, Iterable[str]] | None = None,
) -> list[str]:
    """Turn pydantic's records into sentences; `valid` maps a section's path to its field names."""
    return [_sentence(error, prefix, valid or {}) for error in errors]


def _sentence(error: Mapping[str, Any], prefix: str, valid: Mapping[str, Iterable[str]]) -> str:
    path = [prefix] if prefix else []
    path += [_named(part) for part in error["loc"]]
    field = ".".join(path)
    if error["type"] == "extra_forbidden":
        section = ".".join(path[:-1])
        where = f" in {section}" if section else ""
        return f"{field}: unknown field{where}; {nearest(path[-1], valid.get(section, ()))}"
    if error["type"] == "missing":
        return f"{field}: required and missing"
    rule = _ITS_TYPE.sub("", str(error["msg"]))
    if error["type"] in {"value_error", "json_invalid"}:
        return f"{field}: {rule}" if field else rule
    return f"{field}={shown(error['input'])}: {rule}"


def _named(part: object) -> str:
    """Repeat a key as it is, unless it is empty, odd or endless."""
    text = str(part)
    return text if text.isprintable() and 0 < len(text) <= _SHOWN else shown(text)
