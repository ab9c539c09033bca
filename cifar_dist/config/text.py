"""YAML that means what it says: closed, small, without tags, aliases or duplicate keys."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from cifar_dist.errors import ConfigError
from cifar_dist.problems import shown

_MAX_BYTES = 256 * 1024
_MAX_DEPTH = 40
# YAML 1.2's core schema without octal and hexadecimal: 1e-3 is a number, `no` and 012 are words.
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Events = Iterator[Any]


def load_yaml(path: Path) -> Any:
    """Read one YAML document from a regular file. Raises ConfigError naming file and line."""
    name = str(path) if str(path).isprintable() else shown(str(path))
    try:
        if not path.is_file():
            what = "is not a regular file" if path.exists() else "does not exist"
            raise ConfigError(f"{name}: {what}; give the path of a YAML file")
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"{name}: larger than {_MAX_BYTES} bytes; a job file is small")
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError(
            f"{name}: cannot be read ({error.strerror}); give the path of a YAML file"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: is not UTF-8 text; save it as UTF-8") from error
    except ValueError as error:
        raise ConfigError(f"{name}: is not a path; give that of a YAML file") from error
    return parse_yaml(text, name)


def parse_yaml(text: str, where: str) -> Any:
    """Read one YAML document; `where` names it in messages. Raises ConfigError."""
    if len(text) > _MAX_BYTES:
        raise ConfigError(f"{where}: larger than {_MAX_BYTES} bytes; a job file is small")
    try:
        # One event at a time: libyaml's own time is quadratic in a depth that is refused here.
        events = yaml.parse(text, Loader=_LOADER)
        documents = [_value(next(events), events, where, 0) for event in events
                     if isinstance(event, yaml.DocumentStartEvent)]  # fmt: skip
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", "not YAML")
        raise ConfigError(f"{where}{line}: {problem}; fix the YAML there") from error
    if len(documents) > 1:
        raise ConfigError(f"{where}: holds {len(documents)} documents; keep one")
    return documents[0] if documents else None


def dump_yaml(data: object) -> str:
    """Write plain data with finite numbers so that `parse_yaml` gives it back."""
    return yaml.dump(
        data,
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=None,
        allow_unicode=True,
        width=100,
    )


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.Node:
    # PyYAML leaves 1e-3 unquoted, which is a number for parse_yaml, and folds odd line breaks.
    style = None if _scalar(text) is text and text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _value(event: Any, events: Events, where: str, depth: int) -> Any:
    place = f"{where}:{event.start_mark.line + 1}"
    if isinstance(event, yaml.AliasEvent) or event.anchor:
        raise ConfigError(f"{place}: anchors and aliases are refused; write the value out")
    if event.tag:
        raise ConfigError(f"{place}: the tag {shown(event.tag)} is refused; write a plain value")
    if depth > _MAX_DEPTH:
        raise ConfigError(f"{place}: nested deeper than {_MAX_DEPTH} levels; flatten it")
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event.value) if event.implicit[0] else event.value
    if isinstance(event, yaml.SequenceStartEvent):
        return _sequence(events, where, depth)
    return _mapping(events, where, depth)


def _sequence(events: Events, where: str, depth: int) -> list[Any]:
    values = []
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        values.append(_value(event, events, where, depth + 1))
    return values


def _mapping(events: Events, where: str, depth: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        place = f"{where}:{event.start_mark.line + 1}"
        if not isinstance(event, yaml.ScalarEvent):
            raise ConfigError(f"{place}: a key must be a plain word")
        _value(event, events, where, depth)
        if event.value in values:
            raise ConfigError(f"{place}: the key {shown(event.value)} stands twice; keep one")
        values[event.value] = _value(next(events), events, where, depth + 1)
    return values


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    return text
