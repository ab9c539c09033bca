"""Dashboards: current, complete, and asking for nothing that nobody exports."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.chart import queries

LARGEST_BYTES = 100_000
QUERIES = [*queries.of_rules(), *queries.of_dashboards(), *queries.of_variables()]
KNOWN: dict[str, str] = {
    **queries.own(),
    **queries.FOREIGN["live"],
    **{name: about["kind"] for name, about in queries.FOREIGN["elsewhere"].items()},
}
UNITS = {
    "short", "percentunit", "percent", "s", "dtdurations", "h", "cps", "Bps", "bytes", "mbytes",
    "watt", "sci",
}  # fmt: skip
"""Names of @grafana/data's formats."""
BOARDS = pytest.mark.parametrize("path", queries.DASHBOARDS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """Load the program that writes the dashboards."""
    path = queries.ROOT / "deploy" / "make_dashboards.py"
    spec = importlib.util.spec_from_file_location("make_dashboards", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@BOARDS
def test_a_dashboard_is_what_its_short_form_says(path: Path, generator: ModuleType) -> None:
    source = generator.SOURCES / f"{path.stem}.yaml"
    short = yaml.safe_load(source.read_text("utf-8"))
    assert path.read_text("utf-8") == generator.text(short), "run deploy/make_dashboards.py"
    assert path.stat().st_size < LARGEST_BYTES


def test_every_short_form_is_shipped(generator: ModuleType) -> None:
    sources = {path.stem for path in generator.SOURCES.glob("*.yaml")}
    assert sources == {path.stem for path in queries.DASHBOARDS} == {
        "platform", "sweep", "training",
    }  # fmt: skip


@BOARDS
def test_a_dashboard_lets_its_source_and_its_run_be_chosen(path: Path) -> None:
    board = json.loads(path.read_text("utf-8"))
    source, namespace, chosen = board["templating"]["list"]
    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    assert namespace["name"] == "namespace"
    assert chosen["name"] == ("ray_io_cluster" if path.stem == "platform" else "run")
    wanted = {"type": "prometheus", "uid": "${datasource}"}
    assert all(panel["datasource"] == wanted for panel in queries.panels(path))
    assert all(one["datasource"] == wanted for one in (namespace, chosen))


@BOARDS
def test_a_panel_says_what_it_shows_and_in_which_unit(path: Path) -> None:
    for panel in queries.panels(path):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["targets"], panel["title"]


@BOARDS
def test_panels_have_numbers_and_places_of_their_own(path: Path) -> None:
    board = json.loads(path.read_text("utf-8"))
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken = [cell for panel in board["panels"] for cell in _cells(panel["gridPos"])]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24


def test_uids_are_unique() -> None:
    uids = [json.loads(path.read_text("utf-8"))["uid"] for path in queries.DASHBOARDS]
    assert len(set(uids)) == len(uids)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.where)
def test_what_is_asked_for_is_exported_by_somebody(query: queries.Query) -> None:
    assert queries.metrics(query.text) <= KNOWN.keys() | queries.recorded()


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.where)
def test_only_counters_are_asked_for_their_growth(query: queries.Query) -> None:
    assert {KNOWN[name] for name in queries.grown(query.text)} <= {"counter"}


def test_what_is_recorded_is_used() -> None:
    used = set().union(*(queries.metrics(query.text) for query in QUERIES))
    assert queries.recorded() <= used


def test_what_others_export_is_used_and_has_a_reason() -> None:
    used = set().union(*(queries.metrics(query.text) for query in QUERIES))
    foreign: dict[str, dict[str, Any]] = queries.FOREIGN["elsewhere"]
    assert {*queries.FOREIGN["live"], *foreign} <= used
    assert all(len(about["reason"]) > 10 for about in foreign.values())


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ('sum by (run) (rate(a_total{b="c{d}", e=~"f"}[5m])) / on (run) (g > 0)', {"a_total", "g"}),
        ("x:y:z unless on (q) x:y:z offset 15m", {"x:y:z"}),
        ('label_replace(m{l="n"}, "o", "$1", "p", "(.+)") or vector(0)', {"m"}),
        ("histogram_quantile(0.5, sum by (le) (rate(h_bucket[15m]))) * 1e3", {"h_bucket"}),
    ],
)
def test_metrics_are_found_in_a_query(query: str, wanted: set[str]) -> None:
    assert queries.metrics(query) == wanted


def _cells(place: dict[str, int]) -> list[tuple[int, int]]:
    return [
        (x, y)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
