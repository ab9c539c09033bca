"""Secrets taken out of what is shown or logged: known shapes, and this environment's own values.

A value of fewer than six characters is left, as it would be found within other words.
"""

import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote, unquote

MARK = "***"
_SHORTEST = 6

_SECRET = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|(^|_)(TOKEN|KEY|PASS|PAT|CREDENTIALS?)(_|$)", re.IGNORECASE
)
_PLACE = re.compile(r"_(FILE|PATH|DIR|ARN|EXPIRATION)$", re.IGNORECASE)  # of a secret
_ADDRESS = re.compile(r"(^|_)(URL|URI|PROXY|DSN)$", re.IGNORECASE)

_IS = r"(?:['\"]\s*:|\s*=)\s*b?['\"]?"  # between a name and its value: =, or a document's colon
_WORD = r"[^\s'\"&,;)}]+"
# What stands before a secret, and the secret.
_SHAPES = tuple(
    re.compile(f"({before}){secret}", re.IGNORECASE)
    for before, secret in (
        ("", r"(?-i:\b(?:AKIA|ASIA)[A-Z0-9]{16}\b)"),
        # A key's own slashes, given as they are, would end the host's part; a port is none.
        ("://", r"[^\s/?#:@]{1,99}:(?!\d{1,5}[/?#])[^\s'\"]{1,999}(?=@)"),
        ("://", r"[^\s/?#]{1,999}(?=@)"),
        (r"authorization['\"]?\s*[:=]\s*b?['\"]?", r"[^'\"\r\n]+"),
        (r"\bbearer\s+", r"[\w.~+/=-]{6,}"),
        (r"x-amz-(?:security-token|signature|credential)\s*:\s*", _WORD),
        (
            rf"(?:secret|passw(?:or)?d|token|signature|credential|(?:access|api)[_-]?key"
            rf"(?:[_-]?id)?|secret[_-]?key){_IS}",
            _WORD,
        ),
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


def clean(error: BaseException) -> None:
    """Take secrets out of an error's words, and out of those of what caused it."""
    seen: set[int] = set()
    rest: list[BaseException | None] = [error]
    while rest:
        found = rest.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        words = tuple(redacted(word) if isinstance(word, str) else word for word in found.args)
        if words != found.args:
            found.args = words
        rest += [found.__cause__, found.__context__]


def _values() -> Iterator[str]:
    for name in os.environ:
        if is_secret(name):
            yield os.environ[name].strip()
        elif _is_address(name):
            user, _, _ = os.environ[name].rpartition("@")
            yield user.rpartition("://")[2].partition(":")[2]


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
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
