"""The chart's README: its tables are those of the values and of the shapes."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "cifar-dist"


def _generator() -> ModuleType:
    path = ROOT / "deploy" / "make_chart_readme.py"
    spec = importlib.util.spec_from_file_location("make_chart_readme", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKE = _generator()


def test_the_readme_is_current() -> None:
    written = (CHART / "README.md").read_text("utf-8")
    assert written == MAKE.readme(), "run deploy/make_chart_readme.py"


def test_every_shape_says_what_it_is() -> None:
    said = dict(MAKE.shapes(CHART))
    assert len(said) >= 11
    assert all(len(text) > 20 for text in said.values()), said
    assert len(set(said.values())) == len(said)


def test_every_value_is_explained() -> None:
    listed = {row.key: row for row in MAKE.rows((CHART / "values.yaml").read_text("utf-8"))}
    assert {"mode", "networkPolicy.enabled", "store.uri", "image.digest"} <= set(listed)
    assert listed["mode"].default == '"job"'


def test_a_comment_runs_over_lines_and_belongs_to_the_key_below_it() -> None:
    text = "# -- what\n# it is\na:\n  # -- inner\n  b: [1, x]\n  # -- other\n  c: null\n"
    assert MAKE.rows(text) == [
        ("a", "", "what it is"),
        ("a.b", '[1, "x"]', "inner"),
        ("a.c", "null", "other"),
    ]


def test_a_value_that_nothing_explains_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no comment explains a\.b"):
        MAKE.rows("a:\n  b: 1\n")
    assert MAKE.rows("# -- all of it\na:\n  b: 1\n") == [("a", '{"b": 1}', "all of it")]
