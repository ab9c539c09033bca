"""A name in a job file becomes an object: registered factories whose signature is their schema."""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar, Union

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from cifar_dist.errors import ConfigError
from cifar_dist.problems import nearest, sentences, shown

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
Component = Mapping[str, Any]
_TYPES = {
    "integer": int,
    "number": float,
    "boolean": bool,
    "string": str,
    "null": type(None),
}
_BOUNDS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
    "pattern": "pattern",
}


class Registry(Generic[T]):
    """Factories of one kind, named as users type them.

    A factory's positional-only parameters are given by the code that builds it;
    all others are options that a job sets beside `name`.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._factories: dict[str, Callable[..., T]] = {}
        self._options: dict[str, type[BaseModel]] = {}
        self._descriptions: dict[str, str] = {}

    def register(self, factory: F) -> F:
        """Add a factory under its own name. Raises ValueError on a name that is taken."""
        name = factory.__name__
        description = (inspect.getdoc(factory) or "").partition("\n")[0]
        self._add(name, description, _fields(factory))
        self._factories[name] = factory
        return factory

    @property
    def names(self) -> list[str]:
        """All registered names, sorted."""
        return sorted(self._options)

    def describe(self, name: str) -> str:
        """Give the first line of a factory's docstring."""
        return self._descriptions[name]

    def declare(self, name: str, description: str, schema: Mapping[str, Any]) -> None:
        """Add a name whose options are known from their JSON Schema and that cannot be built."""
        required = schema.get("required", [])
        fields: dict[str, Any] = {
            key: (annotation(field), ... if key in required else _frozen(field["default"]))
            for key, field in schema["properties"].items()
            if key != "name"
        }
        self._add(name, description, fields)

    def problems(self, component: Component, field: str) -> list[str]:
        """List what is wrong with a component, a sentence each; empty when nothing is."""
        name = component.get("name")
        if not isinstance(name, str) or name not in self._options:
            return [f"{field}.name={shown(name)}: unknown {self.kind}; {nearest(name, self.names)}"]
        model = self._options[name]
        try:
            _validate(model, component)
        except ValidationError as error:
            return sentences(error.errors(), field, {field: ["name", *model.model_fields]})
        return []

    def resolved(self, component: Component) -> dict[str, Any]:
        """Give the component with every default written out. Raises ConfigError."""
        if found := self.problems(component, self.kind):
            raise ConfigError("\n".join(found))
        name = component["name"]
        return {"name": name, **_validate(self._options[name], component).model_dump(mode="json")}

    def build(self, component: Component, /, *context: object) -> T:
        """Call the factory with its context and the component's options. Raises ConfigError."""
        if found := self.problems(component, self.kind):
            raise ConfigError("\n".join(found))
        name = component["name"]
        options = _validate(self._options[name], component)
        return self._factories[name](*context, **dict(options))

    def schema(self) -> dict[str, Any]:
        """Give the closed JSON Schema of a component: one alternative for each name."""
        alternatives = []
        for name in self.names:
            schema = self._options[name].model_json_schema()
            schema["properties"] = {"name": {"const": name}, **schema.get("properties", {})}
            schema["required"] = ["name", *schema.get("required", [])]
            schema["description"] = self.describe(name)
            alternatives.append(schema)
        return {"oneOf": alternatives}

    def _add(self, name: str, description: str, fields: dict[str, Any]) -> None:
        if name in self._options:
            raise ValueError(f"{self.kind} '{name}' is registered twice")
        self._options[name] = _closed(name, fields)
        self._descriptions[name] = description


def annotation(schema: Mapping[str, Any]) -> Any:
    """Give the type that a JSON Schema of an option describes: the inverse of pydantic's export."""
    if "anyOf" in schema:
        return Union[tuple(annotation(option) for option in schema["anyOf"])]  # noqa: UP007 - built
    if "const" in schema or "enum" in schema:
        return Literal[tuple(schema.get("enum", [schema.get("const")]))]
    bounds = {_BOUNDS[key]: value for key, value in schema.items() if key in _BOUNDS}
    if "prefixItems" in schema:
        return tuple[tuple(annotation(item) for item in schema["prefixItems"])]  # type: ignore[misc]
    if schema["type"] == "array":
        kind: Any = tuple[annotation(schema["items"]), ...]  # type: ignore[misc]
    else:
        kind = _TYPES[schema["type"]]
    return Annotated[kind, Field(**bounds)] if bounds else kind


def _fields(factory: Callable[..., Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(factory, eval_str=True).parameters.values():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (parameter.annotation, default)
    return fields


def _closed(name: str, fields: dict[str, Any]) -> type[BaseModel]:
    closed = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    model: type[BaseModel] = create_model(name, __config__=closed, **fields)
    return model


def _frozen(value: object) -> object:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _validate(model: type[BaseModel], component: Component) -> BaseModel:
    # Through JSON: strict there still takes a list for a tuple, and never True for a number.
    options = {key: value for key, value in component.items() if key != "name"}
    return model.model_validate_json(json.dumps(options, default=str), strict=True)
