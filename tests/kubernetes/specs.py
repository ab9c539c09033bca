"""RayJobs, sound and not, with our verdict on them: what an operator is asked about, too."""

import copy
import random
from collections.abc import Mapping
from typing import Any, NamedTuple

from cifar_dist.submission.rules import problems
from tests.kubernetes.mutations import CASES

_POD = {
    "spec": {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "ray",
                "image": "localhost/cifar-dist:0",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }
}
_MOST_AT_ONCE = 3
_LONG = 20  # characters of a name


class Spec(NamedTuple):
    """One RayJob and what we say of it."""

    manifest: dict[str, Any]
    changes: tuple[str, ...]
    """Which of `mutations` made it."""
    problems: list[str]
    """Empty if we would send it."""


def sound(name: str = "sound") -> dict[str, Any]:
    """Give a RayJob that every operator takes."""
    group = {"groupName": "cpu", "replicas": 1, "minReplicas": 0, "maxReplicas": 4}
    cluster = {
        "rayVersion": "2.60.0",
        "authOptions": {"mode": "token"},
        "headGroupSpec": {"rayStartParams": {"num-cpus": "0"}, "template": copy.deepcopy(_POD)},
        "workerGroupSpecs": [{**group, "rayStartParams": {}, "template": copy.deepcopy(_POD)}],
    }
    spec = {
        "entrypoint": "true",
        "submissionMode": "HTTPMode",
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": 600,
        "preRunningDeadlineSeconds": 1800,
        "rayClusterSpec": cluster,
    }
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": name},
        "spec": spec,
    }


def changed(manifest: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Change an object by dotted paths; None removes; paths that lead nowhere are left out."""
    found = copy.deepcopy(dict(manifest))
    for path, value in changes.items():
        section: Any = found
        *parents, last = path.split(".")
        for part in parents:
            section = _inside(section, part)
        if section is None:
            continue
        if value is None:
            section.pop(last, None)
        else:
            section[last] = copy.deepcopy(value)
    return found


def _inside(section: Any, part: str) -> Any:
    if isinstance(section, list):
        return section[int(part)] if int(part) < len(section) else None
    return section.setdefault(part, {}) if section is not None and part in section else None


def generated(seed: int, count: int, version: tuple[int, int] = (1, 7)) -> list[Spec]:
    """Make RayJobs of each mutation alone, then of some at once; names are theirs alone.

    The verdict is for an operator of this version.
    """
    draws = random.Random(seed)
    chosen = [(case,) for case in CASES]
    while len(chosen) < count:
        chosen.append(tuple(draws.sample(CASES, draws.randint(2, _MOST_AT_ONCE))))
    found = []
    for number, cases in enumerate(chosen[:count]):
        manifest = sound(f"spec-{seed}-")
        for _, changes, _ in cases:
            manifest = changed(manifest, changes)
        manifest["metadata"]["name"] = _numbered(manifest["metadata"]["name"], number)
        names = tuple(name for name, _, _ in cases)
        found.append(Spec(manifest, names, problems(manifest, version=version)))
    return found


def _numbered(name: str, number: int) -> str:
    """Make a name unlike all others; a long one keeps its length."""
    digits = str(number)
    is_long = len(name) > _LONG
    return f"{name[:1]}{digits}{name[1 + len(digits) :]}" if is_long else f"{name}{digits}"
