"""The chart as helm renders it: every supported shape, Kubernetes version and set of interfaces."""

import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "cifar-dist"
CI = sorted(path.name.removesuffix("-values.yaml") for path in CHART.glob("ci/*-values.yaml"))
RELEASE, NAMESPACE = "demo", "research"
RUN = "quick-start-0a1b2c3d"
KUBERNETES = ("1.30.0", "1.34.0", "1.37.0")
MONITORING = ("monitoring.coreos.com/v1/PodMonitor", "monitoring.coreos.com/v1/PrometheusRule")
MODES: Mapping[str, tuple[str, ...]] = {
    "platform": (),
    "cluster": ("mode=cluster",),
    "job": (
        "job.render=true",
        f"job.name={RUN}",
        "job.kind=tune",
        "job.entrypoint=cifar-dist tune quick-start --resume --metrics-port 9400",
    ),
}
OPTIONS = (
    "mode=cluster",
    "exposure.ingress.enabled=true",
    "exposure.ingress.host=ray.example.org",
    "exposure.ingress.tlsSecret=ray-tls",
    "networkPolicy.dashboardNamespace=gateways",
    "exposure.httpRoute.enabled=true",
    "exposure.httpRoute.parentRefs[0].name=web",
    "exposure.httpRoute.hostnames[0]=ray.example.org",
    "gcsFaultTolerance.enabled=true",
    "gcsFaultTolerance.redis.address=redis:6379",
    "gcsFaultTolerance.redis.existingSecret=redis",
    "store.dev.enabled=true",
    "store.dev.ephemeral=false",
    "store.bootstrap.enabled=true",
    "store.caSecret=ca",
    "submitter.subjects[0].kind=Group",
    "submitter.subjects[0].name=researchers",
    "submitter.subjects[0].apiGroup=rbac.authorization.k8s.io",
    "networkPolicy.egress.podIdentity=true",
    "workerGroups.gpu.enabled=true",
    "prepull.enabled=true",
    "pdb.enabled=true",
    "alpha.cron.enabled=true",
    "job.entrypoint=cifar-dist tune quick-start --resume",
)
"""What no shape switches on."""
WRITERS = 2  # helm processes at a time
SECONDS = 60

Object = dict[str, Any]


class Case(NamedTuple):
    """One way to render the chart."""

    values: str
    mode: str = "platform"
    kubernetes: str = "1.34.0"
    monitored: bool = True


class Templated(NamedTuple):
    """How one call of helm ended."""

    code: int
    output: str
    error: str


def tool(name: str) -> str | None:
    """Find a program beside this Python, else on PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.is_file() else shutil.which(name)


def lacking(what: str) -> NoReturn:
    """Skip, since a tool or a download is not to be had; where CI=1 says that all are, fail."""
    if os.environ.get("CI") == "1":
        pytest.fail(what)
    pytest.skip(what)


def needed(name: str) -> str:
    """Find a program, or skip as `lacking` does."""
    return tool(name) or lacking(f"{name} is not installed")


def helm(*arguments: str | Path) -> Templated:
    """Call helm, with nothing of the user's own helm about it."""
    names = ("PATH", "TMPDIR", "LANG")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    command = [needed("helm"), *map(str, arguments)]
    ended = subprocess.run(
        command, env=kept, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return Templated(ended.returncode, ended.stdout, ended.stderr)


def template(case: Case, *settings: str, release: str = RELEASE) -> Templated:
    """Render the chart in one way, with further `--set` lines."""
    values = ("-f", CHART / "ci" / f"{case.values}-values.yaml")
    interfaces = itertools.chain(*(("-a", name) for name in MONITORING if case.monitored))
    own = OPTIONS if case.mode == "options" else MODES[case.mode]
    sets = itertools.chain(*(("--set", setting) for setting in (*own, *settings)))
    version = ("--kube-version", case.kubernetes)
    place = ("-n", NAMESPACE)
    return helm("template", release, CHART, *place, *version, *values, *interfaces, *sets)


def rendered(case: Case, *settings: str, release: str = RELEASE) -> str:
    """Give the text of a render that has to work."""
    ended = template(case, *settings, release=release)
    assert ended.code == 0, f"{case} {settings}: {ended.error}"
    return ended.output


def all_cases() -> list[Case]:
    """Give every shape in every mode, and all options on every Kubernetes, monitored or not."""
    shapes = itertools.product(CI, MODES)
    options = itertools.product(("default",), ("options",), KUBERNETES, (True, False))
    return [Case(*parts) for parts in (*shapes, *options)]


def render_all(cases: Iterable[Case]) -> dict[Case, str]:
    """Render many ways, a few at a time."""
    wanted = list(cases)
    with ThreadPoolExecutor(WRITERS) as pool:
        return dict(zip(wanted, pool.map(rendered, wanted), strict=True))


def objects(text: str) -> list[Object]:
    """Read a render; the objects are shared, so whoever changes one copies it before."""
    parts = re.split(r"(?m)^---\s*$", text)
    return [thing for part in parts if (thing := _object(part))]


def changed(thing: Object, path: str, value: Any) -> Object:
    """Copy an object and put a value at `spec.containers.0.image`; None takes the key away."""
    copied: Object = yaml.load(yaml.safe_dump(thing), Loader=yaml.CSafeLoader)
    *steps, last = (int(step) if step.isdigit() else step for step in path.split("."))
    place: Any = copied
    for step in steps:
        place = place[step] if isinstance(step, int) else place.setdefault(step, {})
    if value is None:
        del place[last]
    elif isinstance(place, list) and last == len(place):
        place.append(value)
    else:
        place[last] = value
    return copied


def named(thing: Object) -> str:
    """Name an object for a message."""
    return f"{thing['kind']}/{thing['metadata']['name']}"


def nodes(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Walk all values of an object with the way to each."""
    yield path, value
    pairs = value.items() if isinstance(value, dict) else ()
    pairs = enumerate(value) if isinstance(value, list) else pairs
    for step, inner in pairs:
        yield from nodes(inner, f"{path}.{step}")


@cache
def _object(text: str) -> Object | None:
    return yaml.load(text, Loader=yaml.CSafeLoader)
