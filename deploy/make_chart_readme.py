"""Write the tables of the chart's README from its values and shapes: `make_chart_readme.py`."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

CHART = Path(__file__).parents[1] / "helm" / "cifar-dist"
MARK = "## Shapes\n"
"""What stands above it in the README is written by hand, the rest by this program."""
_SAYS = "# -- "


class Row(NamedTuple):
    """One value: its path, its default as JSON, what its comment says."""

    key: str
    default: str
    says: str


def rows(text: str) -> list[Row]:
    """Read the values that have a comment. Raises ValueError for one that nothing explains."""
    tree = yaml.compose(text, Loader=yaml.SafeLoader)
    return list(_rows(tree, text.splitlines(), (), False))


def _rows(
    tree: yaml.Node, lines: list[str], path: tuple[str, ...], explained: bool
) -> Iterator[Row]:
    for key, value in tree.value:
        at = (*path, key.value)
        says = _comment(lines, key.start_mark.line, key.start_mark.column)
        inner = isinstance(value, yaml.MappingNode) and bool(value.value)
        below = list(_rows(value, lines, at, explained or bool(says))) if inner else []
        if not (says or explained or below):
            raise ValueError(f"no comment explains {'.'.join(at)}")
        if says:
            yield Row(".".join(at), "" if below else _default(value), says)
        yield from below


def _comment(lines: list[str], line: int, column: int) -> str:
    found: list[str] = []
    for text in reversed(lines[:line]):
        if not text.startswith(" " * column + "#"):
            return ""
        found.insert(0, text.strip())
        if text.strip().startswith(_SAYS):
            break
    else:
        return ""
    return " ".join([found[0].removeprefix(_SAYS), *(text.lstrip("# ") for text in found[1:])])


def _default(node: yaml.Node) -> str:
    return json.dumps(yaml.SafeLoader("").construct_document(node), ensure_ascii=False)


def shapes(chart: Path) -> Iterator[tuple[str, str]]:
    """Name each file of ci/ and what its first comment says."""
    for path in sorted((chart / "ci").glob("*-values.yaml")):
        first = path.read_text("utf-8").splitlines()[0]
        yield path.name, first.lstrip("# ")


def readme(chart: Path = CHART) -> str:
    """Join what is written by hand with the tables."""
    head = (chart / "README.md").read_text("utf-8").partition(MARK)[0]
    lines = [MARK, "Each is rendered by the tests, and a start for values of your own.", ""]
    lines += ["| File of `ci/` | What it is |", "|---|---|"]
    lines += [f"| `{name}` | {says} |" for name, says in shapes(chart)]
    lines += ["", "## Values", "", "| Key | Default | What it is |", "|---|---|---|"]
    for row in rows((chart / "values.yaml").read_text("utf-8")):
        default = f"`{row.default}`" if row.default else ""
        lines.append(f"| `{row.key}` | {_cell(default)} | {_cell(row.says)} |")
    return head + "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    path = CHART / "README.md"
    path.write_text(readme(), "utf-8")
    sys.stdout.write(f"{path}: {len(path.read_text('utf-8').splitlines())} lines\n")
