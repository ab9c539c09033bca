"""Measure ours against the references, by turns: `python -m tests.bench [ROW …]`."""

import argparse
import fnmatch
import importlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cifar_dist.machine import owned_cpus
from tests.bench import printed
from tests.bench.facts import facts
from tests.bench.load import Load
from tests.bench.rounds import Result, Row, Setting, measure

SCHEMA = "cifar-dist/bench/1"
_HERE = Path(__file__).parent
MODULES = ("input", "step", "training", "overhead", "ddp", "gpu")
_WITH_RAY = ("ray_*.py", "sweep_*.py")


def rows() -> list[Row]:
    """Collect the rows of all modules that have some."""
    with_ray = [path.stem for pattern in _WITH_RAY for path in sorted(_HERE.glob(pattern))]
    return rows_of((*MODULES, *with_ray))


def rows_of(modules: Sequence[str]) -> list[Row]:
    """Collect the rows of some modules."""
    imported = [importlib.import_module(f"tests.bench.{name}") for name in modules]
    return [row for module in imported for row in getattr(module, "ROWS", ())]


def chosen(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """Give the rows with these names or patterns; all short ones if none is named."""
    if not names:
        return [row for row in rows if not row.is_long]
    unknown = [name for name in names if not any(fnmatch.fnmatch(row.name, name) for row in rows)]
    if unknown:
        raise SystemExit(f"no row is called {', '.join(unknown)}; --list names them")
    return [row for row in rows if any(fnmatch.fnmatch(row.name, name) for name in names)]


def document(setting: Setting, results: Sequence[Result], started: str) -> dict[str, Any]:
    """Give what is kept: where and with what it was measured, and a record per row."""
    return {
        "schema": SCHEMA,
        "started": started,
        **facts(),
        "threads": torch.get_num_threads(),
        "data": setting.data,
        "seed": setting.seed,
        "smoke": setting.smoke,
        "rows": [result.to_json() for result in results],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rows asked for, print each as it ends, and keep all of them in one file."""
    asked = _parsed(arguments)
    setting = Setting(asked.data, asked.seed, asked.seconds, asked.smoke)
    wanted = chosen(rows(), asked.row)
    if asked.list:
        sys.stdout.write(printed.listing(wanted if asked.row else rows()))
        return 0
    torch.set_num_threads(asked.threads)
    started = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime())
    file = asked.json or Path("artifacts", "bench", f"{started}.json")
    sys.stdout.write(printed.header(document(setting, [], started), Load.average()))
    results: list[Result] = []
    for row in wanted:
        results.append(measure(row, asked.rounds, setting))
        sys.stdout.write(printed.row(results[-1]))
        sys.stdout.flush()
        _keep(file, document(setting, results, started))
    sys.stdout.write(f"kept in {file}\n")
    return 0


def _keep(file: Path, content: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}")
    part.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    part.replace(file)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.bench", description=__doc__)
    parser.add_argument("row", nargs="*", help="a row's name or a pattern like 'training_*'")
    parser.add_argument("--rounds", type=int, help="of both sides (5, some rows 10)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of one side (%(default)s)")
    parser.add_argument("--data", default="sample", help="images: as a job's recipe.data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--threads", type=int, default=owned_cpus(), help="of torch, in this process (%(default)s)"
    )
    parser.add_argument("--json", type=Path, help="where the figures are kept")
    parser.add_argument("--smoke", action="store_true", help="see only that every row runs")
    parser.add_argument(
        "--list", action="store_true", help="say what there is and what its goal is"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
