"""Write the chart's Grafana dashboards from their short form: `make_dashboards.py`."""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

SOURCES = Path(__file__).parent / "dashboards"
TARGET = Path(__file__).parents[1] / "helm" / "cifar-dist" / "dashboards"
SCHEMA_VERSION = 39
"""Grafana 11.0's; newer ones read it and bring it up to theirs."""
FILTERS = {
    "@run": 'namespace=~"$namespace", run=~"$run"',
    "@cluster": 'namespace=~"$namespace", ray_io_cluster=~"$ray_io_cluster"',
    "@namespace": 'namespace=~"$namespace"',
}
"""What a query of the short form may say in place of the labels that the variables choose."""
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_LINES = {"lineWidth": 2, "fillOpacity": 8, "showPoints": "never", "spanNulls": False}
_STACK = {"lineWidth": 1, "fillOpacity": 40, "stacking": {"mode": "normal", "group": "A"}}
_LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
_GRAPH = {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}}
_KINDS: dict[str, tuple[str, int, dict[str, Any], dict[str, Any]]] = {
    "timeseries": ("timeseries", 8, _LINES, _GRAPH),
    "stacked": ("timeseries", 8, _STACK, _GRAPH),
    "stat": ("stat", 5, {}, {"reduceOptions": _LAST, "graphMode": "none", "textMode": "auto"}),
    "gauge": ("gauge", 5, {}, {"reduceOptions": _LAST}),
    "bars": ("bargauge", 8, {}, {"reduceOptions": _LAST, "orientation": "horizontal"}),
    "table": ("table", 8, {}, {"showHeader": True, "cellHeight": "sm"}),
}
"""Kind of the short form: Grafana's type, height, how lines are drawn, options."""
_KEYS = {"title", "kind", "unit", "width", "description", "queries"}


def dashboard(short: dict[str, Any]) -> dict[str, Any]:
    """Give the dashboard that Grafana loads. Raises KeyError for a kind that nobody knows."""
    return {
        "uid": short["uid"],
        "title": short["title"],
        "description": short["description"],
        "tags": ["cifar-dist"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "timezone": "browser",
        "time": {"from": "now-3h", "to": "now"},
        "links": [_link()],
        "annotations": {"list": []},
        "templating": {"list": _variables(short["variables"])},
        "panels": _panels(short["rows"]),
    }


def text(short: dict[str, Any]) -> str:
    """Give the file's text; the same for the same short form."""
    return json.dumps(dashboard(short), indent=1, ensure_ascii=False) + "\n"


def _link() -> dict[str, Any]:
    return {
        "type": "dashboards", "title": "cifar_dist", "tags": ["cifar-dist"], "asDropdown": False,
        "icon": "external link", "includeVars": True, "keepTime": True, "targetBlank": False,
        "tooltip": "", "url": "",
    }  # fmt: skip


def _variables(chosen: dict[str, str]) -> list[dict[str, Any]]:
    (name, metric) = next(iter(chosen.items()))
    source = {
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
        "refresh": 1, "regex": "", "hide": 0, "includeAll": False, "multi": False, "options": [],
    }  # fmt: skip
    return [
        source,
        _variable("namespace", f"label_values({metric}, namespace)"),
        _variable(name, f'label_values({metric}{{namespace=~"$namespace"}}, {name})'),
    ]


def _variable(name: str, query: str) -> dict[str, Any]:
    # ".*" also fits series without the label: on a laptop nothing has a namespace.
    return {
        "name": name, "label": name.replace("ray_io_", "").capitalize(), "type": "query",
        "datasource": _DATASOURCE, "query": {"query": query, "refId": name},
        "refresh": 2, "sort": 1, "regex": "", "hide": 0, "multi": True, "includeAll": True,
        "allValue": ".*", "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "options": [],
    }  # fmt: skip


def _panels(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    top = 0
    for row in rows:
        place = {"h": 1, "w": 24, "x": 0, "y": top}
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": row["title"], "collapsed": False,
             "gridPos": place, "panels": []}
        )  # fmt: skip
        top, left, height = top + 1, 0, 0
        for short in row["panels"]:
            if left + short["width"] > 24:  # noqa: PLR2004 - columns of Grafana's grid
                top, left, height = top + height, 0, 0
            panels.append(_panel(short, len(panels) + 1, (left, top)))
            left, height = left + short["width"], max(height, panels[-1]["gridPos"]["h"])
        top += height
    return panels


def _panel(short: dict[str, Any], number: int, place: tuple[int, int]) -> dict[str, Any]:
    if set(short) != _KEYS:  # an unquoted comma ends a text, and the rest becomes a key
        raise ValueError(f"panel {short.get('title')!r} has the keys {sorted(map(str, short))}")
    kind, height, custom, options = _KINDS[short["kind"]]
    limits = {"min": 0, "max": 1} if kind == "gauge" else {}
    defaults = {"unit": short["unit"], "custom": custom, **limits}
    return {
        "id": number,
        "type": kind,
        "title": short["title"],
        "description": short["description"],
        "datasource": _DATASOURCE,
        "gridPos": {"h": height, "w": short["width"], "x": place[0], "y": place[1]},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            _target(kind, "ABCDEFGH"[index], legend, query)
            for index, (legend, query) in enumerate(short["queries"].items())
        ],
    }


def _target(kind: str, reference: str, legend: str, query: str) -> dict[str, Any]:
    for short, labels in FILTERS.items():
        query = query.replace(short, labels)
    table = kind == "table"
    return {
        "refId": reference, "datasource": _DATASOURCE, "expr": query, "editorMode": "code",
        "legendFormat": legend, "instant": table, "range": not table,
        "format": "table" if table else "time_series",
    }  # fmt: skip


def main() -> None:
    """Write each dashboard beside the chart and say how large it is."""
    for source in sorted(SOURCES.glob("*.yaml")):
        target = TARGET / f"{source.stem}.json"
        target.write_text(text(yaml.safe_load(source.read_text("utf-8"))), "utf-8")
        sys.stdout.write(f"{target}: {target.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
