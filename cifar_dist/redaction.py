"""Secrets taken out of what is shown or logged: known shapes, and this environment's own values.

A value of fewer than six characters is left, as it would be found within other words.
"""

import json
import os
import re
import traceback
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

MARK = "***"
_SHORTEST = 6
_UNLIKELY = 16  # characters of what stands in no other word by chance

_SECRET = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|CONNECTION_STRING|_AUTH$|"
    r"(^|_)(TOKENS?|(API)?KEYS?|PASS|PAT|CREDENTIALS?)(_|$)",
    re.IGNORECASE,
)
# Places of secrets.
_PLACE = re.compile(r"_(FILE|PATH|DIR|ARN|EXPIRATION)$|^GOOGLE_APPLICATION_CREDENTIALS$", re.I)
_ADDRESS = re.compile(r"(^|_)(URL|URI|PROXY|DSN)$", re.IGNORECASE)

_NAME = (
    r"(?:secret|passw(?:or)?d|passphrase|token|signature|credential|(?:access|api)[_-]?key"
    r"(?:[_-]?id)?|secret[_-]?key)"
)
_WORD = r"[^\s'\"&,;)}]+"
# What stands before a secret, and the secret. None searches the same stretch of a text twice: the
# text may be a megabyte that somebody else wrote.
_SHAPES = tuple(
    re.compile(f"({before}){secret}", re.IGNORECASE | re.MULTILINE)
    for before, secret in (
        ("", r"(?-i:\b(?:AKIA|ASIA)[A-Z0-9]{16}\b)"),
        # A key's own slashes, given as they are, would end the host's part; a port is none.
        ("://", r"[^\s/?#:@]{1,99}:(?!\d{1,5}[/?#])(?:(?!://)[^\s'\"]){1,999}(?=@)"),
        ("://", r"[^\s/?#]{1,999}(?=@)"),
        (r"authorization\\{0,9}['\"]?\s*[:=]\s*b?\\{0,9}['\"]?", r"[^'\"\r\n]+"),
        (r"\bbearer\s+", r"[\w.~+/=-]{6,}"),
        (r"x-amz-(?:security-token|signature|credential)\s*:\s*", _WORD),
        (rf"{_NAME}\s*=\s*b?['\"]?", _WORD),
        (rf"{_NAME}['\"]\s*:\s*b?['\"]", r"(?:\\.|[^'\"\\\r\n])+"),
        (rf"{_NAME}\\{{1,9}}['\"]\s*:\s*\\{{1,9}}['\"]", r"[^'\"\\\r\n]+"),  # a text in a text
        # YAML's: the value ends its line, which no sentence about a field does with one word.
        (
            rf"(?:^|[{{,])[ \t]*(?:-[ \t])?[\w-]{{0,40}}{_NAME}:[ \t]+['\"]?",
            r"[^\s'\"&,;)}]+(?=['\"]?[ \t]*(?:[,}]|$))",
        ),
        (rf"(?<![\w-])--[\w-]{{0,40}}{_NAME}(?:[ \t]+|['\"],\s*)['\"]?", _WORD),
    )
)


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Tell by a variable's name whether its value is a secret; a path to one is none."""
    return bool(_SECRET.search(name)) and not _PLACE.search(name) and not _is_address(name)


def redacted(text: str) -> str:
    """Put three stars in the place of each secret."""
    own = _any_of(frozenset(_values()))
    if own is not None:
        text = own.sub(MARK, text)
    for shape in _SHAPES:
        text = shape.sub(rf"\g<1>{MARK}", text)
    return text


def clean(error: BaseException) -> bool:
    """Take secrets out of an error's words and of what caused it; tells whether none is left.

    A cause that cannot be changed is cut off.
    """
    chain = _chain(error)
    for found in chain:
        _wash(found)
    for found in chain:
        for link in ("__cause__", "__context__"):
            linked = getattr(found, link)
            if linked is not None and _tells(linked):
                setattr(found, link, None)
    return not _tells(error)


def _chain(error: BaseException) -> list[BaseException]:
    """List an error with all that it was raised from or holds."""
    found: dict[int, BaseException] = {}
    rest: list[object] = [error]
    while rest:
        one = rest.pop()
        if not isinstance(one, BaseException) or id(one) in found:
            continue
        found[id(one)] = one
        rest += [one.__cause__, one.__context__, *one.args, *_own(one).values()]
        rest += getattr(one, "exceptions", ())
    return list(found.values())


def _wash(error: BaseException) -> None:
    error.args = _washed(error.args)
    _own(error).update(_washed(_own(error)))
    for name in ("strerror", "filename", "filename2"):  # what OSError shows, apart from its args
        if isinstance(text := getattr(error, name, None), str) and redacted(text) != text:
            setattr(error, name, redacted(text))


def _own(error: BaseException) -> dict[str, Any]:
    return getattr(error, "__dict__", {})  # one that is not written in Python may have none


def _washed(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if type(value) in (tuple, list):
        return type(value)(map(_washed, value))
    if type(value) is dict:
        return {key: _washed(one) for key, one in value.items()}
    return value


def _tells(error: BaseException) -> bool:
    """Tell whether an error's words, or those of the errors in its group, hold a secret."""
    said = "".join(traceback.format_exception_only(error))
    return redacted(said) != said or any(map(_tells, getattr(error, "exceptions", ())))


def _values() -> Iterator[str]:
    for name in os.environ:
        if is_secret(name):
            value = os.environ[name].strip()
            if not (value.startswith("/") and _is_there(value)):
                yield value
        elif _is_address(name):
            user, _, _ = os.environ[name].rpartition("@")
            yield user.rpartition("://")[2].partition(":")[2]


@lru_cache(maxsize=64)
def _is_there(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


@lru_cache(maxsize=1024)
def _is_address(name: str) -> bool:
    return bool(_ADDRESS.search(name))


@lru_cache(maxsize=8)
def _any_of(values: frozenset[str]) -> re.Pattern[str] | None:
    forms: set[str] = set()
    for value in values:
        forms |= {value, unquote(value), json.dumps(value)[1:-1]}
        forms |= {quote(value, safe, errors="surrogateescape") for safe in ("/", "")}
    longest_first = sorted((f for f in forms if len(f) >= _SHORTEST), key=len, reverse=True)
    if not longest_first:
        return None
    return re.compile("|".join(map(_wherever, longest_first)))


def _wherever(value: str) -> str:
    """Give the pattern of a value; what may be a common word is not looked for within others."""
    if len(value) >= _UNLIKELY:
        return re.escape(value)
    # The letter of an escaped line break belongs to no word.
    return rf"(?:(?<![^\W_])|(?<=\\[nrt])){re.escape(value)}(?![^\W_])"
