"""JSON documents that carry the hash of their own content, so that damage is seen before use."""

import hashlib
import json
from typing import Any

from cifar_dist.errors import DamagedError
from cifar_dist.runs.identity import canonical
from cifar_dist.store import Store

_LIMIT_BYTES = 64 << 20  # the result of a sweep of thousands of trials takes a few of these


def sealed(document: dict[str, Any]) -> bytes:
    """Give a document's bytes with one more field, `seal`: the SHA-256 over all others."""
    plain = json.loads(canonical(document))  # what a reader will see, and so will hash
    return canonical({**plain, "seal": _digest(plain)}) + b"\n"


def unsealed(data: bytes, name: str) -> dict[str, Any]:
    """Give a document back without its seal. Raises DamagedError."""
    try:
        document = json.loads(data)
        intact = document.pop("seal") == _digest(document)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        intact = False
    if not intact:
        raise DamagedError(
            f"{name} is damaged: it is not the document that was written there; "
            "restore it from a backup, or start again with --fresh"
        )
    return dict(document)


def read_sealed(store: Store, key: str, limit: int = _LIMIT_BYTES) -> dict[str, Any]:
    """Read a sealed document, again if it came damaged. Raises MissingError, DamagedError.

    One of more than `limit` bytes is not what was written: as JSON it could take a hundred times
    as much memory.
    """
    return store.parsed(key, limit, lambda data: unsealed(data, f"{key} in {store.uri}"))


def _digest(document: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(document)).hexdigest()
