"""What an API server says to a custom object: pruning, schema, duplicate keys and CEL rules."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import celpy
import jsonschema
import yaml

Schema = dict[str, Any]
INTEGERS = {"int32": 2**31, "int64": 2**63}
# A rule writes a field of such a name with underscores about it.
RESERVED = {
    "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in",
    "let", "loop", "namespace", "null", "package", "return", "true", "var", "void", "while",
}  # fmt: skip
# The server itself knows these of every object; a definition lists them without their fields.
OBJECT_META = {
    "annotations", "finalizers", "generateName", "labels", "name", "namespace", "ownerReferences",
}  # fmt: skip


class Kind(NamedTuple):
    """An apiVersion and a kind, as objects name them."""

    api_version: str
    name: str


def kind_of(thing: Schema) -> Kind:
    """Say what an object is."""
    return Kind(thing["apiVersion"], thing["kind"])


def definitions(*paths: Path) -> dict[Kind, Schema]:
    """Read the schemas of all served versions out of files of CustomResourceDefinitions."""
    found = {}
    for path in paths:
        for definition in yaml.load_all(path.read_text("utf-8"), Loader=yaml.CSafeLoader):
            spec = (definition or {}).get("spec", {})
            for version in spec.get("versions", []):
                if version["served"]:
                    kind = Kind(f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                    found[kind] = version["schema"]["openAPIV3Schema"]
    return found


def complaints(schema: Schema, thing: Schema) -> list[str]:
    """Say all that is wrong with an object, each as `path: reason`; empty if it is served whole."""
    walk = _Walk()
    walk.meta(thing.get("metadata") or {})
    pruned = walk.pruned(schema, thing, "")
    errors = _VALIDATOR(schema, format_checker=_FORMATS).iter_errors(pruned)
    return [
        *walk.found,
        *(f"{error.json_path.removeprefix('$')}: {error.message}" for error in errors),
        *_broken_rules(schema, pruned, ""),
    ]


class _Walk:
    """One pass that drops nulls, fills in defaults, and notes unknown fields and duplicates."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def meta(self, metadata: Schema) -> None:
        unknown = sorted(set(metadata) - OBJECT_META)
        self.found += [f".metadata.{name}: unknown field" for name in unknown]

    def pruned(self, schema: Schema, value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return self._fields(schema, value, path)
        if isinstance(value, list):
            self._duplicates(schema, value, path)
            inner = schema.get("items", {})
            return [self.pruned(inner, item, f"{path}[{i}]") for i, item in enumerate(value)]
        return value

    def _fields(self, schema: Schema, value: Schema, path: str) -> Schema:
        known = schema.get("properties", {})
        kept = {
            name: inner["default"]
            for name, inner in known.items()
            if value.get(name) is None and "default" in inner
        }
        for name, item in value.items():
            inner = self._schema_of(schema, name, path)
            if inner is None:
                self.found.append(f"{path}.{name}: unknown field")
            elif item is not None or inner.get("nullable"):
                kept[name] = self.pruned(inner, item, f"{path}.{name}")
        return kept

    def _schema_of(self, schema: Schema, name: str, path: str) -> Schema | None:
        if not path and name == "metadata":
            return {}
        if name in schema.get("properties", {}):
            return dict(schema["properties"][name])
        others = schema.get("additionalProperties")
        if isinstance(others, dict):
            return others
        free = not schema or schema.get("x-kubernetes-preserve-unknown-fields")
        return {} if others is True or free else None

    def _duplicates(self, schema: Schema, items: list[Any], path: str) -> None:
        kind = schema.get("x-kubernetes-list-type")
        fields = schema.get("items", {}).get("properties", {})
        names = schema.get("x-kubernetes-list-map-keys", [])
        seen: list[Any] = []
        for item in items if kind in {"map", "set"} else []:
            key = item
            if kind == "map" and isinstance(item, dict):
                key = [item.get(name, fields.get(name, {}).get("default")) for name in names]
            if key in seen:
                self.found.append(f"{path}: duplicate {key}")
            seen.append(key)


def _broken_rules(schema: Schema, value: Any, path: str) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", []):
        text = rule["rule"]
        if "oldSelf" not in text and not _holds(text, value):  # the others compare two versions
            yield f"{path}: {rule.get('message', text)}"
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _broken_rules(schema.get("items", {}), item, f"{path}[{index}]")
    elif isinstance(value, dict):
        others = schema.get("additionalProperties")
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, others)
            if isinstance(inner, dict):
                yield from _broken_rules(inner, item, f"{path}.{name}")


@cache
def _program(rule: str) -> celpy.Runner:
    environment = celpy.Environment()
    return environment.program(environment.compile(rule))


def _holds(rule: str, value: Any) -> bool:
    try:
        return bool(_program(rule).evaluate({"self": celpy.json_to_cel(_escaped(value))}))
    except celpy.CELEvalError:
        return False  # the server refuses what it cannot decide


def _escaped(value: Any) -> Any:
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    if isinstance(value, dict):
        names = {name: f"__{name}__" if name in RESERVED else name for name in value}
        return {names[name]: _escaped(item) for name, item in value.items()}
    return value


def _type(validator: Any, types: Any, instance: Any, schema: Schema) -> Iterator[Any]:
    if instance is not None or not schema.get("nullable"):
        yield from jsonschema.Draft4Validator.VALIDATORS["type"](validator, types, instance, schema)


_VALIDATOR = jsonschema.validators.extend(jsonschema.Draft4Validator, {"type": _type})
_FORMATS = jsonschema.FormatChecker(formats=())
for _name, _limit in INTEGERS.items():
    _FORMATS.checks(_name)(lambda value, n=_limit: not isinstance(value, int) or -n <= value < n)
