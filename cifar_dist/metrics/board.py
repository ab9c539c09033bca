"""The registry: series of all open meters, computed anew for each scrape."""

from collections.abc import Iterator
from threading import Lock
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from cifar_dist import __version__
from cifar_dist.metrics.families import BUILD, FAMILIES, PREFIX, Family
from cifar_dist.metrics.meters import Commits, Meters, Value
from cifar_dist.spending import Prices


class Board(Collector):
    """Holds meters while their runs last; nothing is kept of those that are closed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._meters: dict[str, Meters] = {}
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)

    def open(self, run: str, prices: Prices | None = None) -> Meters:
        """Begin the series of a run or sweep; `close` removes them."""
        meters = Meters(run, prices or Prices(), self._remove)
        with self._lock:
            self._meters[run] = meters
        return meters

    def collect(self) -> Iterator[Metric]:
        """Give every family that has a series now."""
        with self._lock:
            meters = list(self._meters.values())
        build = _made(BUILD, FAMILIES[BUILD], [])
        build.add_metric([__version__], 1.0)
        yield build
        readings = [(one.run, one.read()) for one in meters]
        for name, family in FAMILIES.items():
            metric = _made(name, family, ["run"])
            for run, reading in readings:
                for labels, value in reading.get(name, ()):
                    _add(metric, [run, *labels], value)
            if metric.samples:
                yield metric

    def _remove(self, meters: Meters) -> None:
        with self._lock:
            if self._meters.get(meters.run) is meters:
                del self._meters[meters.run]


def _made(name: str, family: Family, labels: list[str]) -> Any:
    full, labels = PREFIX + name, [*labels, *family.labels]
    if family.kind == "counter":
        return CounterMetricFamily(full, family.help, labels=labels)
    if family.kind == "histogram":
        return HistogramMetricFamily(full, family.help, labels=labels)
    return GaugeMetricFamily(full, family.help, labels=labels)


def _add(metric: Any, labels: list[str], value: Value) -> None:
    if isinstance(value, Commits):
        metric.add_metric(labels, value.buckets, sum_value=value.seconds)
    else:
        metric.add_metric(labels, value)
