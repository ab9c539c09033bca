"""A job from plain data: every problem at once, then every default written out."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cifar_dist.config.job import S3, Job, Placement, Recipe
from cifar_dist.config.text import load_file, parse_yaml
from cifar_dist.errors import ConfigError
from cifar_dist.problems import nearest, sentences, shown
from cifar_dist.registry import Registry

_COMPONENTS = "components.json"
_FIELDS = {
    "": list(Job.model_fields),
    "recipe": list(Recipe.model_fields),
    "placement": list(Placement.model_fields),
    "s3": list(S3.model_fields),
}


@cache
def components() -> dict[str, Registry[Any]]:
    """Give the known components by the dotted path where a job names them, without loading torch.

    They are read from the schema that `make schema` writes from the registries themselves.
    """
    known: dict[str, Registry[Any]] = {}
    text = resources.files("cifar_dist.config").joinpath(_COMPONENTS).read_text("utf-8")
    for path, schema in json.loads(text).items():
        known[path] = Registry(path.rpartition(".")[2])
        for option in schema["oneOf"]:
            known[path].declare(option["title"], option["description"], option)
    return known


def parse_job(data: object) -> Job:
    """Check plain data and resolve every default. Raises ConfigError with one line per problem."""
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigError(f"a job is a mapping of {', '.join(_FIELDS[''])}; got {shown(data)}")
    found = []
    try:
        job = _validated(data)
    except ValidationError as error:
        found = sentences(error.errors(), valid=_FIELDS)
    raw = data if found else job.model_dump(mode="json")
    for path, registry, component in _components(raw):
        found += registry.problems(component, path)
    if found:
        raise ConfigError("\n".join(found))
    for path, registry, component in _components(raw):
        _put(raw, path.split("."), registry.resolved(component))
    return _validated(raw)


def load_job(path: Path) -> Job:
    """Read a job file. Raises ConfigError with file, line and a sentence for each problem."""
    document = load_file(path)
    try:
        return parse_job(document.data)
    except ConfigError as error:
        raise document.placed(error) from error


def patched(job: Job, overrides: Mapping[str, Any]) -> Job:
    """Change a job by dotted paths and check it again. Raises ConfigError.

    A section comes before what lies in it, and a component's `name` before its options, which it
    drops where it changes.
    """
    data = job.model_dump(mode="json")
    found = []
    for path in sorted(overrides, key=lambda path: (path.count("."), not path.endswith(".name"))):
        found += _applied(data, path, overrides[path])
    if found:
        raise ConfigError("\n".join(found))
    return parse_job(data)


def assigned(text: str) -> tuple[str, Any]:
    """Read `PATH=VALUE` as typed on a command line; the value is YAML. Raises ConfigError."""
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise ConfigError(f"--set {shown(text)}: must be PATH=VALUE, as in recipe.epochs=20")
    return path, parse_yaml(value, f"--set {path}")


def _validated(data: Mapping[str, Any]) -> Job:
    # Through JSON: strict there still takes a list for a tuple, and never True for a number.
    return Job.model_validate_json(json.dumps(data, default=str), strict=True)


def _components(
    data: Mapping[str, Any],
) -> Iterator[tuple[str, Registry[Any], dict[str, Any]]]:
    for path, registry in components().items():
        value: Any = data
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        entries = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, component in entries:
            if isinstance(component, dict) and isinstance(component.get("name"), str):
                yield path if index is None else f"{path}.{index}", registry, component


def _put(data: Any, parts: list[str], value: object) -> None:
    for part in parts[:-1]:
        data = data[int(part)] if isinstance(data, list) else data[part]
    if isinstance(data, list):
        data[int(parts[-1])] = value
    else:
        data[parts[-1]] = value


def _applied(data: dict[str, Any], path: str, value: object) -> list[str]:
    parts = path.split(".")
    section: Any = data
    for depth, part in enumerate(parts[:-1]):
        if isinstance(section, list) and part.isdecimal() and int(part) < len(section):
            section = section[int(part)]
        elif isinstance(section, dict) and part in section:
            section = section[part]
        else:
            names = section if isinstance(section, dict) else map(str, range(len(section)))
            return [f"{path}: unknown path at '{shown(part)[1:-1]}'; {nearest(part, names)}"]
        if not isinstance(section, dict | list):
            return [f"{path}: '{'.'.join(parts[: depth + 1])}' has no fields"]
    return _assign(section, parts, value)


def _assign(section: Any, parts: list[str], value: object) -> list[str]:
    key, parent = parts[-1], ".".join(parts[:-1])
    if isinstance(section, list):
        if not key.isdecimal() or int(key) >= len(section):
            return [f"{'.'.join(parts)}: the list has {len(section)} entries, counted from 0"]
        section[int(key)] = value
        return []
    is_component = parent in components() or parent.rpartition(".")[0] in components()
    if not is_component and parent in _FIELDS and key not in _FIELDS[parent]:
        where = f" in {parent}" if parent else ""
        return [f"{'.'.join(parts)}: unknown field{where}; {nearest(key, _FIELDS[parent])}"]
    if is_component and key == "name" and section.get("name") != value:
        section.clear()
    section[key] = value
    return []


def job_schema() -> dict[str, Any]:
    """Give the closed JSON Schema of a job, every component's options included."""
    schema = Job.model_json_schema()
    fields = schema["$defs"]["Recipe"]["properties"]
    for path, registry in components().items():
        field = fields[path.removeprefix("recipe.")]
        if field.get("type") == "array":
            field["items"] = registry.schema()
        else:
            field.pop("$ref", None)
            field.update(registry.schema())
    del schema["$defs"]["Component"]
    return schema
