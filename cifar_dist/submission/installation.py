"""What a release of the chart was installed with: values files, and what it published of itself."""

from pathlib import Path
from typing import Any

from cifar_dist.config import load_yaml, parse_yaml
from cifar_dist.errors import ConfigError
from cifar_dist.submission.chart import full_name, published
from cifar_dist.submission.door import ForbiddenError, NotFoundError
from cifar_dist.submission.kubectl import Kubectl
from cifar_dist.submission.observed import Object, items, text

RELEASE_LABEL = "app.kubernetes.io/instance"
_PLATFORMS = "labelSelector=cifar-dist.io/component%3Dplatform"


def read(path: Path) -> dict[str, Any]:
    """Read a file of values. Raises ConfigError."""
    return _mapping(load_yaml(path), str(path))


def platforms(door: Kubectl) -> list[Object]:
    """List what the platforms of a namespace published; none for an account that may not."""
    try:
        return items(door.get(f"{_configmaps(door)}?{_PLATFORMS}"), "items")
    except (ForbiddenError, NotFoundError):
        return []


def platform_of(door: Kubectl, release: str, values: dict[str, Any]) -> Object | None:
    """Find what a release published, by the name that `values` give it or by its label."""
    try:
        return door.get(f"{_configmaps(door)}/{full_name(release, values)}-platform")
    except NotFoundError:
        there = platforms(door)
    own = (each for each in there if text(each, "metadata", "labels", RELEASE_LABEL) == release)
    return next(own, None)


def values_of(platform: Object) -> dict[str, Any]:
    """Read the values that a release published, without those of a run. Raises ConfigError."""
    name = f"ConfigMap {text(platform, 'metadata', 'name')}"
    said = _mapping(parse_yaml(text(platform, "data", "values.yaml"), name), name)
    return published({key: value for key, value in said.items() if key != "job"})


def _configmaps(door: Kubectl) -> str:
    return f"/api/v1/namespaces/{door.namespace}/configmaps"


def _mapping(data: object, name: str) -> dict[str, Any]:
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{name}: values of the chart are a mapping; see its values.yaml")
    return data
