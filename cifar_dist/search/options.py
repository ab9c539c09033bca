"""Options of a choice: a component, or a list of them, with parameters in place of values."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cifar_dist.search.parameters import identity


def inside(option: object, place: str) -> Iterator[tuple[str, Any]]:
    """Give the parameters in an option of a choice, by their place: mappings without a name."""
    if _is_form(option):
        yield place, option
    elif isinstance(option, dict | list):
        for key, value in _entries(option):
            yield from inside(value, f"{place}.{key}")


def filled(option: Any, place: str, values: Mapping[str, Any]) -> Any:
    """Put values in place of an option's parameters."""
    if _is_form(option):
        return values[place]
    if isinstance(option, dict):
        return {key: filled(item, f"{place}.{key}", values) for key, item in option.items()}
    if isinstance(option, list):
        return [filled(item, f"{place}.{index}", values) for index, item in enumerate(option)]
    return option


def taken(option: Any, value: Any, place: str) -> dict[str, Any] | None:
    """Give the values that stand in place of an option's parameters; None if it is another's."""
    if _is_form(option):
        return {place: value}
    if not isinstance(option, dict | list):
        return {} if identity(option) == identity(value) else None
    if type(value) is not type(option) or len(value) != len(option):
        return None
    found: dict[str, Any] = {}
    for key, item in _entries(option):
        if isinstance(value, dict) and key not in value:
            return None
        part = taken(item, value[key], f"{place}.{key}")
        if part is None:
            return None
        found |= part
    return found


def _is_form(value: object) -> bool:
    return isinstance(value, dict) and "name" not in value


def _entries(value: dict[str, Any] | list[Any]) -> Iterable[tuple[Any, Any]]:
    return value.items() if isinstance(value, dict) else enumerate(value)
