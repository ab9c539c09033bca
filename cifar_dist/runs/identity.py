"""How runs and sweeps are named: a chosen name and a hash of everything that shapes the result."""

import hashlib
import json
import re

from cifar_dist.errors import ConfigError
from cifar_dist.problems import shown
from cifar_dist.store import Store

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
_IDENTITY = re.compile(r"[a-z0-9][a-z0-9-]{0,40}-[0-9a-f]{8}(-[1-9][0-9]{0,5})?")


def canonical(value: object) -> bytes:
    """Give the one JSON text of a value; raises ValueError for NaN and infinity."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode()


def fingerprint(recipe: dict[str, object], data_sha256: str) -> str:
    """Give the 8 hex digits that stand for a complete recipe on exactly this data."""
    return hashlib.sha256(canonical([recipe, data_sha256])).hexdigest()[:8]


def identity(name: str, digits: str) -> str:
    """Join a name and a fingerprint to an id. Raises ConfigError for a name that is not plain."""
    if not is_name(name):
        raise ConfigError(
            f"name={shown(name)}: use up to 41 of a-z, 0-9 and '-', not beginning with '-'"
        )
    return f"{name}-{digits}"


def is_name(text: str) -> bool:
    """Tell whether a text may be a name: up to 41 of a-z, 0-9 and '-', not beginning with '-'."""
    return _NAME.fullmatch(text) is not None


def is_identity(text: str) -> bool:
    """Tell whether a text has the form of a run's or sweep's id."""
    return _IDENTITY.fullmatch(text) is not None


def fresh(store: Store, kind: str, base: str) -> str:
    """Give the next free id after `base`: base-2, base-3 …; `kind` is 'runs' or 'sweeps'."""
    used = set(store.folders(kind))
    number = 2
    while f"{base}-{number}" in used:
        number += 1
    return f"{base}-{number}"
