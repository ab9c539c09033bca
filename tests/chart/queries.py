"""PromQL of rules and dashboards: where it stands, and which metrics it reads."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from cifar_dist.metrics.families import FAMILIES, PREFIX

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "helm/cifar-dist/alerts").glob("*.yaml"))
DASHBOARDS = sorted((ROOT / "helm/cifar-dist/dashboards").glob("*.json"))
FOREIGN: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "foreign_metrics.yaml").read_text("utf-8")
)
"""What others export: `live` by the Ray that a test starts, `elsewhere` with a reason each."""

_TEXTS = re.compile(r'"(?:[^"\\]|\\.)*"')
_LABELS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_BRACES = re.compile(r"\{[^}]*\}|\[[^\]]*\]")
_NAMES = re.compile(r"[a-zA-Z_:][\w:]*(?!\w*\s*\()")
_GROWTH = re.compile(r"\b(?:rate|irate|increase)\(\s*([a-zA-Z_:][\w:]*)")
_WORDS = {"and", "or", "unless", "offset", "bool", "by", "on"}
_SERIES = ("_bucket", "_sum", "_count", "_created")


class Query(NamedTuple):
    """A query and where it stands."""

    where: str
    text: str


def rules() -> Iterator[dict[str, Any]]:
    """Give every recording and alert rule."""
    for path in RULES:
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]:
            yield from group["rules"]


def alerts() -> list[dict[str, Any]]:
    """Give the alert rules."""
    return [rule for rule in rules() if "alert" in rule]


def recorded() -> set[str]:
    """Give the names that the recording rules make."""
    return {rule["record"] for rule in rules() if "record" in rule}


def panels(path: Path) -> list[dict[str, Any]]:
    """Give a dashboard's panels without the headings of its rows."""
    board = json.loads(path.read_text("utf-8"))
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def of_rules() -> list[Query]:
    """Give the queries of all rules."""
    return [Query(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()]


def of_dashboards() -> list[Query]:
    """Give the queries of all panels, with what the variables stand for by default."""
    return [
        Query(f"{path.stem}: {panel['title']}", filled(target["expr"]))
        for path in DASHBOARDS
        for panel in panels(path)
        for target in panel["targets"]
    ]


def of_variables() -> list[Query]:
    """Give what the dashboards' variables choose from."""
    return [
        Query(f"{path.stem}: ${one['name']}", _chosen(one["query"]["query"]))
        for path in DASHBOARDS
        for one in json.loads(path.read_text("utf-8"))["templating"]["list"]
        if one["type"] == "query"
    ]


def filled(query: str) -> str:
    """Put what Grafana would into a query's variables when all is chosen."""
    return re.sub(r"\$\w+", ".*", query.replace("$__rate_interval", "5m"))


def metrics(query: str) -> set[str]:
    """Name the metrics that a query reads."""
    bare = _TEXTS.sub('""', query)
    bare = _BRACES.sub(" ", _LABELS.sub(" ", bare))
    bare = re.sub(r"\b(offset)\s+\w+", " ", bare)
    return {name for name in _NAMES.findall(bare) if name not in _WORDS and not _number(name)}


def grown(query: str) -> set[str]:
    """Name the metrics whose growth a query asks for."""
    return set(_GROWTH.findall(query))


def own() -> dict[str, str]:
    """Give the kind of each series that a driver exports."""
    kinds = {PREFIX + name: family.kind for name, family in FAMILIES.items()}
    hists = [name for name, kind in kinds.items() if kind == "histogram"]
    return {**kinds, **{name + end: "counter" for name in hists for end in _SERIES}}


def _chosen(query: str) -> str:
    return filled(query.removeprefix("label_values(").rpartition(",")[0])


def _number(name: str) -> bool:
    return name in {"inf", "nan"} or re.fullmatch(r"e\d+", name) is not None
