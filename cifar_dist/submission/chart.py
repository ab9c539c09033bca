"""The door to helm: the chart that comes with the package, and one RayJob rendered from it."""

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from cifar_dist.config import load_yaml, parse_yaml, shipped_chart
from cifar_dist.errors import ConfigError, RunError
from cifar_dist.submission.observed import line

Values = dict[str, Any]
CHART = "cifar-dist"
_SECONDS = 60.0
_TEMPLATE = "templates/rayjob.yaml"
_NAME_CHARACTERS = 40
# Maps with keys of their own choice; another version's values may lack keys of all others.
_FREE = {
    "affinity", "containerSecurityContext", "limits", "podSecurityContext", "requests",
    "workerGroups",
}  # fmt: skip
_FAILED = re.compile(r"execution error at \([^)]*\): (.*)", re.S)
_HINT = "Use --debug flag"


def defaults() -> Values:
    """Give the values that the chart has by itself. Raises ConfigError without a chart."""
    return dict(load_yaml(shipped_chart() / "values.yaml"))


def merged(*layers: Mapping[str, Any]) -> Values:
    """Lay values over each other as helm does: maps are joined, all else is replaced."""
    found: Values = {}
    for layer in layers:
        for key, value in layer.items():
            below = found.get(key)
            is_map = isinstance(value, Mapping) and isinstance(below, Mapping)
            found[key] = merged(below or {}, value) if is_map else value
    return found


def published(values: Mapping[str, Any]) -> Values:
    """Read what a release published: a key that it took from the defaults is null again.

    Laid over the defaults once more, a kind of GPU that it does without would come back.
    """
    return _taken(defaults(), values, is_free=False)


def _taken(below: Mapping[str, Any], values: Mapping[str, Any], is_free: bool) -> Values:
    found: Values = {key: None for key in below if is_free and key not in values}
    for key, value in values.items():
        under = below.get(key)
        is_map = isinstance(value, Mapping) and isinstance(under, Mapping)
        found[key] = _taken(under or {}, value, key in _FREE) if is_map else value
    return found


def given_to_helm(values: Mapping[str, Any]) -> str:
    """Write values for helm, which refuses a null where the chart's defaults have no key."""
    return json.dumps(_without_idle_nulls(defaults(), values))


def _without_idle_nulls(below: Mapping[str, Any], values: Mapping[str, Any]) -> Values:
    found: Values = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            under = below.get(key)
            found[key] = _without_idle_nulls(under if isinstance(under, Mapping) else {}, value)
        elif value is not None or key in below:
            found[key] = value
    return found


def full_name(release: str, values: Mapping[str, Any]) -> str:
    """Give the name that objects of a release begin with."""
    chart = str(values.get("nameOverride") or CHART)
    name = release if chart in release else f"{release}-{chart}"
    name = str(values.get("fullnameOverride") or name)
    if len(name) <= _NAME_CHARACTERS:
        return name
    # As the chart's own cifar-dist.fullname cuts it.
    digest = hashlib.sha256(name.encode()).hexdigest()[:4]
    return f"{name[: _NAME_CHARACTERS - 5].removesuffix('-')}-{digest}"


def rendered(release: str, namespace: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Render the RayJob of a release. Raises ConfigError with a line for each wrong value."""
    helm = shutil.which("helm")
    if helm is None:
        raise ConfigError("helm is not on PATH; install Helm 3.17 or later to render the chart")
    command = [
        helm, "template", release, str(shipped_chart()), f"--namespace={namespace}",
        f"--show-only={_TEMPLATE}", "--values=-",
    ]  # fmt: skip
    try:
        ended = subprocess.run(
            command,
            input=given_to_helm(values),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RunError(f"helm did not render the chart in {_SECONDS:g} s; try again") from error
    if ended.returncode:
        raise ConfigError(_told(ended.stderr))
    manifest = parse_yaml(ended.stdout, "the rendered RayJob")
    if not isinstance(manifest, dict) or manifest.get("kind") != "RayJob":
        raise ConfigError("the chart rendered no RayJob; set job.render: true")
    return manifest


def _told(said: str) -> str:
    """Give helm's complaint: what a template says, or a line for each value that has no place."""
    said = said.partition(_HINT)[0].strip()
    if failed := _FAILED.search(said):
        lines = filter(None, map(str.strip, failed[1].splitlines()))
        return "\n".join(f"values: {text}" for text in lines)
    listed = [text.strip()[2:] for text in said.splitlines() if text.strip().startswith("- ")]
    if listed:
        return "\n".join(f"values: {line(text)}; see the chart's values.yaml" for text in listed)
    return f"helm cannot render the chart: {line(said.removeprefix('Error: '))}; correct --values"
