"""A wrong value becomes one short line with the nearest valid name."""

from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError

from cifar_dist.problems import nearest, sentences, shown


class Section(BaseModel, extra="forbid"):
    """A model with one bounded field."""

    size: Annotated[int, Field(ge=1)]


def said(data: object, prefix: str = "") -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Section.model_validate(data)
    return sentences(caught.value.errors(), prefix, {prefix: ["size"]})


def test_a_misspelt_name_gets_the_one_that_was_meant() -> None:
    assert nearest("sdg", ["adam", "sgd"]) == "did you mean 'sgd'?"


def test_a_name_like_no_other_gets_the_list_of_what_there_is() -> None:
    assert nearest("x", ["b", "a"]) == "valid: a, b"
    assert nearest(None, map(str, range(100, 200))).endswith("111, …")


@pytest.mark.parametrize("value", ["a\nb\x1b[31m", "x" * 500, {"k": "\n"}, ["é" * 99], None])
def test_a_value_is_repeated_short_and_on_one_printable_line(value: object) -> None:
    assert len(shown(value)) <= 61
    assert shown(value).isprintable()


def test_a_sentence_names_field_value_and_rule() -> None:
    assert said({"size": 0}) == ["size=0: should be greater than or equal to 1"]
    assert said({}, "part") == ["part.size: required and missing"]


def test_an_unknown_field_is_told_with_its_section_and_the_nearest() -> None:
    expected = "part.sise: unknown field in part; did you mean 'size'?"
    assert said({"size": 1, "sise": 1}, "part") == [expected]


@pytest.mark.parametrize("key", ["", "k" * 5000, "a\x1b[2Jb", "\n"])
def test_an_odd_key_is_repeated_like_a_value(key: str) -> None:
    (line,) = said({"size": 1, key: 1})
    assert line.startswith(f"{shown(key)}: unknown field")
    assert line.isprintable() and len(line) < 150
