"""A real Prometheus reads a real sweep and a real run: all that rules and panels name is there."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from cifar_dist.metrics.families import FAMILIES, PREFIX
from tests.chart import queries
from tests.chart.renders import needed

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        not os.environ.get("CIFAR_DIST_LIVE_SCRAPE"),
        reason="takes a minute; CIFAR_DIST_LIVE_SCRAPE=1 asks for it",
    ),
]

SECONDS = 400.0  # on a busy machine; half a minute on an idle one
DISCOVERY = "ray/prom_metrics_service_discovery.json"
PRICES = ("--set", "placement.cpu_hour_price=0.05")
SPACE = {
    "description": "learning rates of a tiny net, until somebody stops it",
    "job": {"recipe": {"data": "synthetic", "model": {"name": "lenet5"}, "epochs": 3}},
    "trials": 900,
    "asha": {"grace_epochs": 1, "reduction_factor": 3},
    "space": {"recipe.optimizer.lr": {"loguniform": [0.005, 0.05]}},
}
TINY = ["--data", "synthetic", "--model", "lenet5", "--workers", "0"]
RUN = ["train", *TINY, "--epochs", "900", "--lr", "0.001"]


class Prometheus(NamedTuple):
    """A server that has read all that it shall."""

    url: str
    missing: set[str]
    """What it waited for in vain."""

    def ask(self, what: str, **parameters: str) -> Any:
        """Give the data of an answer of its API."""
        with urlopen(f"{self.url}/api/v1/{what}?{urlencode(parameters)}", timeout=10) as answer:
            return json.load(answer)["data"]


@pytest.fixture(scope="module")
def prometheus(dataset_cache: Path) -> Iterator[Prometheus]:
    """Scrape a sweep on a Ray of its own and a run in its own process, then stop them all."""
    with ExitStack() as stack:
        # A short path: Ray's sockets lie below it.
        folder = Path(tempfile.mkdtemp(prefix="scrape"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        ports = [str(_free_port()) for _ in range(2)]
        environment = {
            "RAY_TMPDIR": str(folder),
            "AUTOSCALER_METRIC_PORT": ports[0],
            "DASHBOARD_METRIC_PORT": ports[1],
            "GOMP_SPINCOUNT": "10000",
            "OMP_NUM_THREADS": "1",
        }
        (folder / "space.yaml").write_text(yaml.safe_dump(SPACE), "utf-8")
        sweep = ["tune", "space.yaml", "--max-seconds", "900", *PRICES]
        drivers = [
            stack.enter_context(_driver(folder, name, command, environment))
            for name, command in (("sweep", sweep), ("run", [*RUN, *PRICES]))
        ]
        config = _config(folder, [address() for address in drivers], ports)
        _until((folder / DISCOVERY).is_file)
        yield stack.enter_context(_server(folder, config))


def test_every_metric_of_rules_and_dashboards_is_exported(prometheus: Prometheus) -> None:
    assert sorted(prometheus.missing) == []


def test_every_metric_is_exported_as_what_it_is(prometheus: Prometheus) -> None:
    told = {name: about[0]["type"] for name, about in prometheus.ask("metadata").items()}
    wanted = {PREFIX + name: family.kind for name, family in FAMILIES.items()}
    wanted |= {name: kind for name, kind in queries.FOREIGN["live"].items() if name != "up"}
    # OpenMetrics names a counter without the end of its series' name.
    found = {name: told.get(name, told.get(name.removesuffix("_total"))) for name in wanted}
    assert found == wanted


def test_every_query_is_answered(prometheus: Prometheus) -> None:
    asked = [*queries.of_rules(), *queries.of_dashboards(), *queries.of_variables()]
    for query in asked:
        prometheus.ask("query", query=query.text)  # an error is a status, which urlopen raises
    assert len(asked) > 90


def test_panels_of_runs_show_something(prometheus: Prometheus) -> None:
    silent = {*queries.FOREIGN["elsewhere"], *_fed_by_others()}
    shown = [
        query
        for query in queries.of_dashboards()
        if not query.where.startswith("platform") and not queries.metrics(query.text) & silent
    ]
    empty = [q.where for q in shown if not prometheus.ask("query", query=q.text)["result"]]
    assert empty == []


def test_every_rule_is_evaluated_without_an_error(prometheus: Prometheus) -> None:
    groups = prometheus.ask("rules")["groups"]
    found = [rule for group in groups for rule in group["rules"]]
    assert len(found) == len(list(queries.rules()))
    assert {rule["health"] for rule in found} == {"ok"}, [r for r in found if r.get("lastError")]


def _fed_by_others() -> set[str]:
    """Name what is recorded from metrics that are exported elsewhere only."""
    return {
        rule["record"]
        for rule in queries.rules()
        if "record" in rule and queries.metrics(rule["expr"]) & queries.FOREIGN["elsewhere"].keys()
    }


def _wanted() -> set[str]:
    asked = [*queries.of_rules(), *queries.of_dashboards(), *queries.of_variables()]
    named = set().union(*(queries.metrics(query.text) for query in asked))
    return named - queries.FOREIGN["elsewhere"].keys() - _fed_by_others()


@contextmanager
def _driver(
    folder: Path, name: str, command: list[str], environment: dict[str, str]
) -> Iterator[Callable[[], str]]:
    """Start a driver; gives how to learn where it serves its metrics."""
    log = folder / f"{name}.log"
    program = [sys.executable, "-m", "cifar_dist", *command, "--metrics-port", "0"]
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [*program, "--store", str(folder / name)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(queries.ROOT), **environment},
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        ) as process,
    ):

        def address() -> str:
            pattern = re.compile(r"metrics: http://([\d.]+:\d+)")
            _until(lambda: pattern.search(log.read_text()) or process.poll() is not None)
            found = pattern.search(log.read_text())
            assert found, log.read_text()
            return found[1]

        try:
            yield address
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            finally:
                process.kill()


@contextmanager
def _server(folder: Path, config: Path) -> Iterator[Prometheus]:
    url = f"127.0.0.1:{_free_port()}"
    options = [f"--web.listen-address={url}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    command = [needed("prometheus"), f"--config.file={config}", *options, "--log.level=error"]
    with subprocess.Popen(command, cwd=folder) as process:
        try:
            empty = Prometheus(f"http://{url}", set())
            _until(lambda: _missing(empty) == set())
            yield Prometheus(empty.url, _missing(empty))
        finally:
            process.terminate()


def _missing(server: Prometheus) -> set[str]:
    try:
        return _wanted() - set(server.ask("label/__name__/values"))
    except URLError:
        return {"an answer"}


def _config(folder: Path, drivers: list[str], ports: list[str]) -> Path:
    """Give the laptop's own configuration with this test's addresses."""
    text = (queries.ROOT / "deploy/monitoring/laptop.yml").read_text("utf-8")
    text = text.replace("44217", ports[0]).replace("44227", ports[1])
    text = text.replace("/tmp/ray/", f"{folder}/ray/").replace("../../", f"{queries.ROOT}/")
    config = yaml.safe_load(text)
    config["global"] |= {"evaluation_interval": "2s"}
    config["scrape_configs"][0]["file_sd_configs"][0]["refresh_interval"] = "1s"
    config["scrape_configs"][1]["static_configs"][0]["targets"] = drivers
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    return path


def _until(ready: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.5)


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port
