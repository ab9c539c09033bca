"""YAML means what it says, and nothing in it runs, expands or hides."""

import os
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.config import YamlFile, dump_yaml, load_file, load_job, load_yaml, parse_yaml
from cifar_dist.errors import ConfigError


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "job.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("-2E+1", -20.0),
        ("+3", 3),
        ("0", 0),
        ("-0.0", 0.0),
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("012", "012"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("e5", "e5"),
        (".e5", ".e5"),
        (".", "."),
        ("2020-01-01", "2020-01-01"),
        ("true", True),
        ("True", "True"),
        ("null", None),
        ("~", None),
        ("", None),
        ("# nothing", None),
        ("'1e-3'", "1e-3"),
        ('"true"', "true"),
        ("[1, [a, ~]]", [1, ["a", None]]),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("1: a", {"1": "a"}),
    ],
)
def test_a_scalar_means_what_it_says(text: str, value: object) -> None:
    found = parse_yaml(text, "job.yaml")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("!!python/object/apply:os.system [x]", "job.yaml:1: the tag"),
        ("a: !int 3", "job.yaml:1: the tag '!int' is refused"),
        ("a: ! 3", "job.yaml:1: the tag '!' is refused"),
        ("a: &x 1", "job.yaml:1: anchors and aliases are refused"),
        ("a: 1\nb: *x", "job.yaml:2: anchors and aliases are refused"),
        ("- &x [1]\n" + "- *x\n" * 500, "job.yaml:1: anchors and aliases are refused"),
        ("a: 1\na: 2", "job.yaml:2: the key 'a' stands twice"),
        ("a: {b: 1, 'b': 2}", "job.yaml:1: the key 'b' stands twice"),
        ("--- 1\n--- 2", "job.yaml: holds 2 documents"),
        ("[" * 50 + "]" * 50, "job.yaml:1: nested deeper than 40 levels"),
        ("[" * 200_000, "job.yaml:1: nested deeper than 40 levels"),
        ("x" * 300_000, "job.yaml: larger than 262144 bytes"),
        ("? [a]\n: 1", "job.yaml:1: a key must be a plain word"),
        ("a: [1", "job.yaml:"),
        ("a: 1\n\x00", "job.yaml:2: "),
        ("a: \udcff", "job.yaml:1: "),
        ("%YAML 9\n---\na", "job.yaml:1: "),
    ],
)
def test_what_could_mislead_or_harm_is_refused_with_its_line(text: str, problem: str) -> None:
    assert refusal(text).startswith(problem)


@pytest.mark.parametrize(
    "value",
    [
        *("1e-3", "no", "012", ".nan", "e5", "", "~", " x", "- a", "a: b", "#", "'", "é"),
        *("two\nlines", "\x85", "\u2028", "\t", "true", "x" * 300, "2020-01-01"),
        *(0.001, 1e-5, 1e22, 5e-324, -0.0, 10**18, -3, True, None, [], {}),
        *([1, [2.5, {"a": []}]], {"no": {"1": "2"}}),
    ],
)
def test_what_is_written_reads_back_the_same(value: Any) -> None:
    document = {"key": value, "again": [value, value]}
    assert parse_yaml(dump_yaml(document), "written") == document


@pytest.mark.parametrize("text", ["1e-3", "two\nlines", "no", "\x85"])
def test_a_key_reads_back_the_same(text: str) -> None:
    assert parse_yaml(dump_yaml({text: 1}), "written") == {text: 1}


def test_a_file_is_read_as_one_document(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("recipe: {epochs: 3}\n", "utf-8")
    assert load_yaml(path) == {"recipe": {"epochs": 3}}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xff\xfe", "is not UTF-8 text; save it as UTF-8"),
        (b"#" * 300_000, "larger than 262144 bytes"),
        (b"a: [", "fix the YAML there"),
    ],
)
def test_a_file_that_is_no_small_yaml_is_refused_by_name(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    path = tmp_path / "job.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=problem) as caught:
        load_yaml(path)
    assert str(caught.value).startswith(str(path))


def test_what_is_no_regular_file_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, problem in (("pipe", "not a regular"), ("", "not a regular"), ("gone", "not exist")):
        with pytest.raises(ConfigError, match=problem):
            load_yaml(tmp_path / name)
    with pytest.raises(ConfigError, match="does not exist"):
        load_yaml(Path("a\0b"))


def test_a_document_knows_the_line_of_every_path(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("a: 1\nb:\n  c.d:\n    - x\n    - {e: 1,\n       f: 2}\n", "utf-8")
    lines = {"a": 1, "b": 2, "b.c.d": 3, "b.c.d.0": 4, "b.c.d.1": 5, "b.c.d.1.e": 5, "b.c.d.1.f": 6}
    assert load_file(path).lines == lines


@pytest.mark.parametrize(
    ("sentence", "placed"),
    [
        ("a.b: wrong", "job.yaml:2: a.b: wrong"),
        ("a.b.c=3: too large", "job.yaml:2: a.b.c=3: too large"),
        ("a.x: missing", "job.yaml:1: a.x: missing"),
        ("z: missing", "job.yaml: z: missing"),
        ("nothing is right", "job.yaml: nothing is right"),
    ],
)
def test_a_sentence_gets_the_line_of_the_nearest_path_that_is_written(
    sentence: str, placed: str
) -> None:
    document = YamlFile("job.yaml", {"a": {"b": 1}}, {"a": 1, "a.b": 2})
    assert str(document.placed(ConfigError(f"{sentence}\na: no"))).splitlines() == [
        placed,
        "job.yaml:1: a: no",
    ]


def test_a_job_file_names_the_line_of_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("recipe:\n  optimizer:\n    name: sgd\n    lrr: 1\n", "utf-8")
    with pytest.raises(ConfigError, match=r"job\.yaml:4: recipe\.optimizer\.lrr: unknown field"):
        load_job(path)


def test_endless_paths_cost_no_memory(tmp_path: Path) -> None:
    text = "[" + "1, " * 20_000 + "1]"
    for _ in range(9):
        text = f"{{{'k' * 400}: {text}}}"
    path = tmp_path / "job.yaml"
    path.write_text(text, "utf-8")
    assert sum(map(len, load_file(path).lines)) < 1000
