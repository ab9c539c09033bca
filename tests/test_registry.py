"""A factory's signature is its schema, and nothing that it does not say gets through."""

import json
import math
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from cifar_dist.errors import ConfigError
from cifar_dist.registry import Registry

OPTIONS = {"size": 3, "rate": 0.5, "kind": "a", "steps": [0.1, 0.2]}


def thing(
    context: str,
    /,
    size: Annotated[int, Field(ge=1, le=9)],
    rate: Annotated[float, Field(gt=0, lt=1)] | None = 0.5,
    kind: Literal["a", "b"] = "a",
    steps: Annotated[tuple[float, ...], Field(min_length=1, max_length=3)] = (0.1, 0.2),
) -> dict[str, Any]:
    """Make a thing.

    This is not part of its description.
    """
    return {"context": context, "size": size, "rate": rate, "kind": kind, "steps": steps}


def switch(flag: bool = False, pair: tuple[int, int] = (1, 2)) -> tuple[bool, tuple[int, int]]:
    """Make a switch."""
    return flag, pair


@pytest.fixture
def built() -> Registry[Any]:
    registry: Registry[Any] = Registry("thing")
    registry.register(thing)
    registry.register(switch)
    return registry


@pytest.fixture
def declared(built: Registry[Any]) -> Registry[Any]:
    """Give the registry that is known from the written schema of another."""
    registry: Registry[Any] = Registry("thing")
    for option in json.loads(json.dumps(built.schema()))["oneOf"]:
        registry.declare(option["title"], option["description"], option)
    return registry


def test_a_factory_is_called_with_its_context_and_every_option(built: Registry[Any]) -> None:
    found = built.build({"name": "thing", "size": 3, "steps": [0.3]}, "here")
    assert found == {**OPTIONS, "context": "here", "steps": (0.3,)}


def test_resolved_writes_every_default_out_as_plain_data(built: Registry[Any]) -> None:
    resolved = built.resolved({"name": "thing", "size": 3})
    assert resolved == {"name": "thing", **OPTIONS}
    assert built.resolved(resolved) == json.loads(json.dumps(resolved))


def test_the_signature_is_the_schema(built: Registry[Any]) -> None:
    _, schema = built.schema()["oneOf"]
    assert list(schema["properties"]) == ["name", *OPTIONS]
    assert schema["required"] == ["name", "size"]
    assert schema["properties"]["size"]["maximum"] == 9
    assert schema["additionalProperties"] is False
    assert schema["description"] == "Make a thing."


@pytest.mark.parametrize(
    ("option", "rule"),
    [
        ({"size": True}, "thing.size=True: should be a valid integer"),
        ({"size": "3"}, "thing.size='3': should be a valid integer"),
        ({"size": 3.0}, "thing.size=3.0: should be a valid integer"),
        ({"size": 0}, "thing.size=0: should be greater than or equal to 1"),
        ({"size": None}, "thing.size=None: should be a valid integer"),
        ({"rate": True}, "thing.rate=True: should be a valid number"),
        ({"rate": "0.5"}, "thing.rate='0.5': should be a valid number"),
        ({"rate": math.nan}, "thing.rate=nan: should be a finite number"),
        ({"rate": math.inf}, "thing.rate=inf: should be a finite number"),
        ({"rate": 1}, "thing.rate=1: should be less than 1"),
        ({"kind": "c"}, "thing.kind='c': should be 'a' or 'b'"),
        ({"steps": []}, "thing.steps=[]: "),
        ({"steps": 0.5}, "thing.steps=0.5: should be a valid array"),
        ({"sise": 1}, "thing.sise: unknown field in thing; did you mean 'size'?"),
        ({"context": "x"}, "thing.context: unknown field in thing; "),
    ],
)
@pytest.mark.parametrize("registry", ["built", "declared"])
def test_an_option_of_another_type_or_range_is_refused_in_a_sentence(
    registry: str, option: dict[str, Any], rule: str, request: pytest.FixtureRequest
) -> None:
    component = {"name": "thing", "size": 3, **option}
    (problem,) = request.getfixturevalue(registry).problems(component, "thing")
    assert problem.startswith(rule)


@pytest.mark.parametrize("registry", ["built", "declared"])
def test_a_switch_is_neither_a_number_nor_a_word(
    registry: str, request: pytest.FixtureRequest
) -> None:
    component = {"name": "switch", "flag": 1, "pair": [1]}
    assert request.getfixturevalue(registry).problems(component, "x") == [
        "x.flag=1: should be a valid boolean",
        "x.pair.1: required and missing",
    ]


def test_all_problems_of_a_component_are_told_at_once(built: Registry[Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        built.build({"name": "thing", "rate": 2, "kind": "no"}, "here")
    assert len(str(caught.value).splitlines()) == 3


def test_an_unknown_name_gets_the_nearest(built: Registry[Any]) -> None:
    with pytest.raises(ConfigError, match=r"thing\.name='think': .*did you mean 'thing'\?"):
        built.resolved({"name": "think"})


@pytest.mark.parametrize("name", [None, 3, [], ["thing"]])
def test_a_name_must_be_a_word(built: Registry[Any], name: object) -> None:
    assert built.problems({"name": name}, "x")[0].startswith("x.name=")


def test_a_name_can_be_taken_once(built: Registry[Any], declared: Registry[Any]) -> None:
    for registry in (built, declared):
        with pytest.raises(ValueError, match="thing 'thing' is registered twice"):
            registry.register(thing)
        with pytest.raises(ValueError, match="registered twice"):
            registry.declare("thing", "", {"properties": {}})


def test_what_was_declared_is_what_was_registered(
    built: Registry[Any], declared: Registry[Any]
) -> None:
    assert declared.schema() == built.schema()
    assert declared.names == built.names == ["switch", "thing"]
    assert declared.resolved({"name": "thing", "size": 3}) == {"name": "thing", **OPTIONS}
