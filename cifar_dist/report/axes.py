"""The searched parameters of a sweep as columns of numbers, with gaps where one is not in use."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import log10
from typing import Any, Literal

from cifar_dist.documents import TuneDocument
from cifar_dist.report.formats import setting
from cifar_dist.report.tables import setting_names
from cifar_dist.search.options import inside, taken

_ABSENT = object()
_LONGEST = 20
_RANGES = ("uniform", "loguniform", "integer")


@dataclass(frozen=True)
class Axis:
    """One parameter, or one inside an option of a choice, over all trials."""

    path: str
    label: str
    scale: Literal["linear", "log", "category"]
    values: list[float | None]
    """By trial; the index of a category; None where a trial does not have it."""
    categories: tuple[str, ...] = ()

    @property
    def units(self) -> list[float | None]:
        """Its values from 0 to 1, evenly spaced on its scale."""
        low, high = self._ends
        return [
            None if value is None else (self._even(value) - low) / (high - low or 1.0)
            for value in self.values
        ]

    @property
    def ends(self) -> tuple[float, float]:
        """Its lowest and highest value."""
        known = [value for value in self.values if value is not None]
        return min(known), max(known)

    @property
    def is_whole(self) -> bool:
        """Whether it counts something."""
        return all(value is None or value == int(value) for value in self.values)

    @property
    def varies(self) -> bool:
        """Whether trials differ in it, beyond having it or not."""
        return len({value for value in self.values if value is not None}) > 1

    @property
    def _ends(self) -> tuple[float, float]:
        if self.scale == "category":
            return 0.0, len(self.categories) - 1.0
        low, high = self.ends
        return self._even(low), self._even(high)

    def _even(self, value: float) -> float:
        return log10(value) if self.scale == "log" else value


def axes(document: TuneDocument) -> list[Axis]:
    """Give every parameter that some trial has, those inside a choice after it."""
    searched = document.space.get("space") or {}
    settings = [document.settings(trial) for trial in document.trials]
    names = setting_names(document)
    found: list[Axis] = []
    for path in dict.fromkeys([*searched, *(path for values in settings for path in values)]):
        values = [known.get(path, _ABSENT) for known in settings]
        label = names.get(path, path.removeprefix("recipe."))
        found += _columns(path, label, searched.get(path), values)
    return found


def brief(text: str) -> str:
    """Cut a label to what fits beside an axis."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _columns(path: str, label: str, form: Any, values: Sequence[Any]) -> Iterator[Axis]:
    known = [value for value in values if value is not _ABSENT]
    if not known:
        return
    if isinstance(form, Mapping) and isinstance(form.get("choice"), list):
        yield from _choice(path, label, form["choice"], values)
    elif _is_numeric(form, known):
        is_log = isinstance(form, Mapping) and "loguniform" in form
        # The base job may leave it to the model, as null.
        numbers = [float(value) if _is_number(value) else None for value in values]
        is_positive = all(number is None or number > 0 for number in numbers)
        yield Axis(path, label, "log" if is_log and is_positive else "linear", numbers)
    else:
        texts = [None if value is _ABSENT else setting(value) for value in values]
        yield _category(path, label, [], texts)


def _is_numeric(form: Any, known: Sequence[Any]) -> bool:
    is_range = isinstance(form, Mapping) and not form.keys().isdisjoint(_RANGES)
    return (any if is_range else all)(_is_number(value) for value in known)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _choice(path: str, label: str, options: list[Any], values: Sequence[Any]) -> Iterator[Axis]:
    names = _option_names(options)
    texts: list[str | None] = []
    inner: list[dict[str, Any]] = []
    for value in values:
        chosen, parts = _chosen(path, options, value)
        # The base job's own value need not be among the options.
        own = None if value is _ABSENT else f"{_named(value)} (base job)"
        texts.append(own if chosen is None else names[chosen])
        inner.append(parts)
    yield _category(path, label, names, texts)
    for index, option in enumerate(options):
        for place, form in inside(option, f"{path}.choice.{index}"):
            column = [parts.get(place, _ABSENT) for parts in inner]
            yield from _columns(place, _inner_label(option, place, names[index]), form, column)


def _chosen(path: str, options: list[Any], value: Any) -> tuple[int | None, dict[str, Any]]:
    if value is not _ABSENT:
        for index, option in enumerate(options):
            parts = taken(option, value, f"{path}.choice.{index}")
            if parts is not None:
                return index, parts
    return None, {}


def _category(path: str, label: str, known: list[str], texts: Sequence[str | None]) -> Axis:
    used = [text for text in texts if text is not None]
    names = tuple(dict.fromkeys([*(name for name in known if name in used), *used]))
    places = {name: float(index) for index, name in enumerate(names)}
    values = [None if text is None else places[text] for text in texts]
    return Axis(path, label, "category", values, names)


def _option_names(options: list[Any]) -> list[str]:
    """Name components by their names, lists of them by where they differ, and all differently."""
    lists = [[_name(part) for part in option] for option in options if isinstance(option, list)]
    same = _shared(lists) if len(lists) == len(options) else 0
    names = []
    for option in options:
        rest = _named(option[same:]) if same else ""
        names.append(f"… {rest}" if same and option[same:] else _named(option))
    return [
        f"{name} ({index + 1})" if names.count(name) > 1 else name
        for index, name in enumerate(names)
    ]


def _shared(lists: Sequence[Sequence[str]]) -> int:
    """Count the entries with which all lists begin."""
    columns = (set(column) for column in zip(*lists, strict=False))
    return sum(1 for _ in takewhile(lambda column: len(column) == 1, columns))


def _named(value: Any) -> str:
    parts = value if isinstance(value, list) else [value]
    return " + ".join(_name(part) for part in parts) or "[]"


def _name(part: Any) -> str:
    return str(part["name"]) if isinstance(part, Mapping) and "name" in part else setting(part)


def _inner_label(option: Any, place: str, name: str) -> str:
    """Name a parameter inside an option after the component that has it: `sgd lr`."""
    keys = place.rpartition(".choice.")[2].split(".")[1:]
    part, owner = option, name
    for key in keys:
        if isinstance(part, Mapping) and "name" in part:
            owner = str(part["name"])
        part = part[int(key)] if isinstance(part, list) else part[key]
    return f"{owner} {keys[-1]}" if keys else name
