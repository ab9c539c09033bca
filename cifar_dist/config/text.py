"""YAML that means what it says: closed, small, without tags, aliases or duplicate keys."""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cifar_dist.errors import ConfigError
from cifar_dist.problems import shown

STDIN = Path("/dev/stdin")
"""Stands for what this process is given on its standard input, be it a pipe."""
_MAX_BYTES = 256 * 1024
_MAX_DEPTH = 40
_MAX_PATH = 200  # characters; what lies under longer ones has the line of what holds it
# YAML 1.2's core schema without octal and hexadecimal: 1e-3 is a number, `no` and 012 are words.
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class YamlFile:
    """What a YAML file says, and on which line it says it."""

    name: str
    """The file's, as messages show it."""
    data: Any
    lines: dict[str, int]
    """Dotted path of every key and entry to its line, counted from 1."""

    def placed(self, error: ConfigError) -> ConfigError:
        """Put the file, and the line where it is known, before each of an error's sentences."""
        return ConfigError("\n".join(map(self._placed, str(error).splitlines())))

    def _placed(self, sentence: str) -> str:
        path = re.split(r"[:=]", sentence, maxsplit=1)[0]
        while path and path not in self.lines:
            path = path.rpartition(".")[0]
        line = f":{self.lines[path]}" if path else ""
        return f"{self.name}{line}: {sentence}"


def load_yaml(path: Path) -> Any:
    """Read one YAML document from a regular file. Raises ConfigError naming file and line."""
    return load_file(path).data


def load_file(path: Path) -> YamlFile:
    """Read one YAML document with its lines. Raises ConfigError naming file and line."""
    name = str(path) if str(path).isprintable() else shown(str(path))
    if path == STDIN:
        name = "stdin"
    try:
        text = (_given() if path == STDIN else _content(path, name)).decode("utf-8")
    except OSError as error:
        raise ConfigError(
            f"{name}: cannot be read ({error.strerror}); give the path of a YAML file"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: is not UTF-8 text; save it as UTF-8") from error
    except ValueError as error:
        raise ConfigError(f"{name}: is not a path; give that of a YAML file") from error
    return _read(text, name)


def _given() -> bytes:
    if sys.stdin is None:
        raise OSError(0, "it is closed")
    data = sys.stdin.buffer.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"stdin: larger than {_MAX_BYTES} bytes; a job file is small")
    return data


def _content(path: Path, name: str) -> bytes:
    if not path.is_file():
        what = "is not a regular file" if path.exists() else "does not exist"
        raise ConfigError(f"{name}: {what}; give the path of a YAML file")
    if path.stat().st_size > _MAX_BYTES:
        raise ConfigError(f"{name}: larger than {_MAX_BYTES} bytes; a job file is small")
    return path.read_bytes()


def parse_yaml(text: str, where: str) -> Any:
    """Read one YAML document; `where` names it in messages. Raises ConfigError."""
    return _read(text, where).data


def _read(text: str, where: str) -> YamlFile:
    if len(text) > _MAX_BYTES:
        raise ConfigError(f"{where}: larger than {_MAX_BYTES} bytes; a job file is small")
    try:
        # One event at a time: libyaml's own time is quadratic in a depth that is refused here.
        reader = _Reader(where, yaml.parse(text, Loader=_LOADER))
        documents = [reader.value(next(reader.events), "", 0) for event in reader.events
                     if isinstance(event, yaml.DocumentStartEvent)]  # fmt: skip
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        problem = getattr(error, "problem", None) or getattr(error, "reason", "not YAML")
        place = f"{where}:{_line(error, text)}"
        raise ConfigError(f"{place}: {problem}; fix the YAML there") from error
    if len(documents) > 1:
        raise ConfigError(f"{where}: holds {len(documents)} documents; keep one")
    return YamlFile(where, documents[0] if documents else None, reader.lines)


def _line(error: yaml.YAMLError | UnicodeEncodeError, text: str) -> int:
    if isinstance(error, UnicodeEncodeError):
        return text.count("\n", 0, error.start) + 1
    if isinstance(error, yaml.reader.ReaderError):  # libyaml counts bytes
        return text.encode().count(b"\n", 0, error.position) + 1
    mark = getattr(error, "problem_mark", None)
    return mark.line + 1 if mark else 1


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


@dataclass
class _Reader:
    where: str
    events: Any
    lines: dict[str, int] = field(default_factory=dict)

    def value(self, event: Any, path: str | None, depth: int) -> Any:
        place = self._place(event)
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise ConfigError(f"{place}: anchors and aliases are refused; write the value out")
        if event.tag:
            raise ConfigError(
                f"{place}: the tag {shown(event.tag)} is refused; write a plain value"
            )
        if depth > _MAX_DEPTH:
            raise ConfigError(f"{place}: nested deeper than {_MAX_DEPTH} levels; flatten it")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event.value) if event.implicit[0] else event.value
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path, depth + 1)
        return self._mapping(path, depth + 1)

    def _sequence(self, path: str | None, depth: int) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            inner = self._noted(event, path, str(len(values)))
            values.append(self.value(event, inner, depth))
        return values

    def _mapping(self, path: str | None, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            place = self._place(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise ConfigError(f"{place}: a key must be a plain word")
            self.value(event, path, depth)
            if event.value in values:
                raise ConfigError(f"{place}: the key {shown(event.value)} stands twice; keep one")
            inner = self._noted(event, path, event.value)
            values[event.value] = self.value(next(self.events), inner, depth)
        return values

    def _noted(self, event: Any, path: str | None, key: str) -> str | None:
        inner = f"{path}.{key}" if path else key
        if path is None or len(inner) > _MAX_PATH:
            return None
        self.lines[inner] = event.start_mark.line + 1
        return inner

    def _place(self, event: Any) -> str:
        return f"{self.where}:{event.start_mark.line + 1}"


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    return text
