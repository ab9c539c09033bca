"""A name in a job file becomes an object: registered factories whose signature is their schema."""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from cifar_dist.errors import ConfigError
from cifar_dist.problems import nearest, sentences

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
Component = Mapping[str, Any]


class Registry(Generic[T]):
    """Factories of one kind, named as users type them.

    A factory's positional-only parameters are given by the code that builds it;
    all others are options that a job sets beside `name`.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._factories: dict[str, Callable[..., T]] = {}
        self._options: dict[str, type[BaseModel]] = {}

    def register(self, factory: F) -> F:
        """Add a factory under its own name. Raises ValueError on a name that is taken."""
        name = factory.__name__
        if name in self._factories:
            raise ValueError(f"{self.kind} '{name}' is registered twice")
        self._factories[name] = factory
        self._options[name] = _options(name, factory)
        return factory

    @property
    def names(self) -> list[str]:
        """All registered names, sorted."""
        return sorted(self._factories)

    def describe(self, name: str) -> str:
        """Give the first line of a factory's docstring."""
        return (inspect.getdoc(self._factories[name]) or "").partition("\n")[0]

    def problems(self, component: Component, field: str) -> list[str]:
        """List what is wrong with a component, a sentence each; empty when nothing is."""
        name = component.get("name")
        if not isinstance(name, str) or name not in self._factories:
            return [f"{field}.name={name!r}: unknown {self.kind}; {nearest(name, self._factories)}"]
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


def _options(name: str, factory: Callable[..., Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(factory, eval_str=True).parameters.values():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (parameter.annotation, default)
    closed = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    model: type[BaseModel] = create_model(name, __config__=closed, **fields)
    return model


def _validate(model: type[BaseModel], component: Component) -> BaseModel:
    # Through JSON: strict there still takes a list for a tuple, and never True for a number.
    options = {key: value for key, value in component.items() if key != "name"}
    return model.model_validate_json(json.dumps(options, default=str), strict=True)
