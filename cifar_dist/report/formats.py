"""How values are written for people; a missing one is a dash."""

import json
import math
from collections.abc import Mapping
from typing import Any

DASH = "–"
_MINUTE = 60
_KILO = 1000
_UNITS = ("kB", "MB", "GB", "TB")
_ISOLATES = dict.fromkeys(range(0x2066, 0x206A))  # one in a name would open or end another


def percent(share: float | None, digits: int = 2) -> str:
    """Write a share of 1 as a percentage."""
    return DASH if share is None else f"{100 * share:.{digits}f} %"


def points(difference: float) -> str:
    """Write a difference of two shares in percentage points."""
    return f"{100 * difference:.1f} points"


def decimal(number: float | None, digits: int = 4) -> str:
    """Write a number with a fixed count of decimals."""
    return DASH if number is None else f"{number:.{digits}f}"


def thousands(number: float | None) -> str:
    """Write a whole number with thousands separators."""
    return DASH if number is None else f"{number:,.0f}"


def duration(seconds: float | None) -> str:
    """Write seconds in the unit that fits."""
    if seconds is None:
        return DASH
    if seconds < _MINUTE:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < _MINUTE:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(number: int) -> str:
    """Write bytes in the decimal unit that fits."""
    if number < _KILO:
        return f"{number} B"
    power = min(int(math.log(number, _KILO)), len(_UNITS))
    return f"{number / _KILO**power:.1f} {_UNITS[power - 1]}"


def setting(value: object) -> str:
    """Write a value of a job: floats to four figures, components as `flip + cutout(size=8)`."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping) and "name" in value:
        options = [f"{key}={setting(item)}" for key, item in value.items() if key != "name"]
        name = setting(value["name"])
        return f"{name}({', '.join(options)})" if options else name
    if isinstance(value, list | tuple):
        are_components = value and all(isinstance(item, Mapping) for item in value)
        items = map(setting, value)
        return " + ".join(items) if are_components else f"[{', '.join(items)}]"
    return json.dumps(value, default=str)


def isolated(name: str) -> str:
    """Mark a name for HTML so that letters written from right to left turn no more than itself."""
    return f"\u2068{name.translate(_ISOLATES)}\u2069"


def short(sha256: str | None) -> str:
    """Write the first 12 digits of a hash."""
    return DASH if sha256 is None else sha256[:12]


def counted(number: int, noun: str) -> str:
    """Write a number with its noun in the singular or plural."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def flattened(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """List nested settings by the dotted paths that change them."""
    rows: list[tuple[str, Any]] = []
    for key, value in data.items():
        path = f"{prefix}{key}"
        if isinstance(value, list | tuple) and value:
            rows += flattened({str(index): entry for index, entry in enumerate(value)}, f"{path}.")
        elif isinstance(value, Mapping) and value:
            rows += flattened(value, f"{path}.")
        else:
            rows.append((path, value))
    return rows
