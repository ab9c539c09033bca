"""What is installed, against what the package asks for, and variables that change what it does."""

import os
import platform
import re
from importlib import metadata

from cifar_dist import consent
from cifar_dist.doctor.check import Checks, Finding, Setup, failed, ok, warning
from cifar_dist.errors import ConfigError, RefusedError
from cifar_dist.hazards import hazards
from cifar_dist.problems import shown

_PACKAGE = "cifar-dist"
_NAMED = ("torch", "torchvision", "ray")
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(;.*)?")
_CLAUSE = re.compile(r"(>=|==|!=|<=|<|>)\s*v?([0-9][0-9.]*)")
_INSTALL = "install what requirements.lock names, as `make setup` does"

CHECKS = Checks(ConfigError)


@CHECKS.add()
def python(_: Setup) -> Finding:
    """Compare this Python with the ones that are supported."""
    version = platform.python_version()
    try:
        needed = metadata.metadata(_PACKAGE)["Requires-Python"]
    except metadata.PackageNotFoundError:
        return warning(f"{version}; the package itself is not installed", _INSTALL)
    if not fits(version, needed):
        return failed(f"{version} is not {needed}", "use such a Python", ConfigError)
    return ok(version)


@CHECKS.add(needs="python")
def packages(_: Setup) -> Finding:
    """Compare each installed package with what is asked for, and torchvision with torch."""
    try:
        wanted = [*_wanted(_PACKAGE), *(x for x in _wanted("torchvision") if x[0] == "torch")]
    except metadata.PackageNotFoundError as error:
        return warning(f"{shown(error.name)} is not installed", _INSTALL)
    wrong = [text for name, needed in wanted if (text := _problem(name, needed))]
    if wrong:
        return failed(", ".join(wrong), _INSTALL, ConfigError)
    named = ", ".join(f"{name} {metadata.version(name)}" for name in _NAMED)
    return ok(f"{named} and {len(wanted) - 1 - len(_NAMED)} others as required")


@CHECKS.add()
def environment(_: Setup) -> Finding:
    """Look for variables that switch safety off or steer what is loaded and reached."""
    dangers = hazards()
    refused = [one for one in dangers if not (one.is_of_ray and consent.given())]
    if refused:
        found = "; ".join(hazard.danger for hazard in refused)
        remedy = " and ".join(hazard.remedy for hazard in refused)
        return failed(found, remedy, RefusedError)
    odd = [hazard.danger for hazard in dangers]
    odd += [text for name, look in _ODD.items() if (text := look(os.environ.get(name, "")))]
    odd += [text for name in _PROXIES if (text := _proxy(name))]
    if odd:
        return warning("; ".join(odd), "unset what is not meant")
    return ok("no variable that changes what is loaded or reached")


def fits(version: str, needed: str) -> bool:
    """Tell whether a version keeps all clauses of a requirement, by its release numbers."""
    return all(_keeps(_release(version), *clause) for clause in _CLAUSE.findall(needed))


def _keeps(found: tuple[int, ...], sign: str, bound: str) -> bool:
    named = _release(bound)
    size = max(len(found), len(named))
    left, right = (x + (0,) * (size - len(x)) for x in (found, named))
    return {
        ">=": left >= right,
        "<=": left <= right,
        ">": left > right,
        "<": left < right,
        # A bound such as ==2.15.* covers what it leaves open.
        "==": left[: len(named)] == named,
        "!=": left[: len(named)] != named,
    }[sign]


def _release(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def _wanted(package: str) -> list[tuple[str, str]]:
    found = [_REQUIREMENT.fullmatch(text) for text in metadata.requires(package) or []]
    return [(x[1], x[2]) for x in found if x and "extra" not in (x[3] or "")]


def _problem(name: str, needed: str) -> str | None:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is not installed"
    return None if fits(version, needed) else f"{name} {version} is not {needed.strip()}"


def _preloaded(value: str) -> str | None:
    return f"LD_PRELOAD={shown(value)} is loaded into every process" if value else None


def _threads(value: str) -> str | None:
    if not value or re.fullmatch(r"[1-9][0-9]{0,3}(,[1-9][0-9]{0,3})*", value):
        return None
    return f"OMP_NUM_THREADS={shown(value)} is no count of threads"


def _train(value: str) -> str | None:
    off = value.lower() in ("0", "false")
    return "RAY_TRAIN_V2_ENABLED=0 takes away the Ray Train that is needed" if off else None


def _endpoint(value: str) -> str | None:
    other = os.environ.get("AWS_ENDPOINT_URL", "")
    is_hidden = value and other and value != other
    return "AWS_ENDPOINT_URL_S3 wins over a different AWS_ENDPOINT_URL" if is_hidden else None


def _proxy(name: str) -> str | None:
    value = os.environ.get(name) or os.environ.get(name.upper())
    if not value:
        return None
    public = re.sub(r"//[^/]*@", "//***@", value)
    return f"{name}={shown(public)} takes every request that no_proxy does not name"


_ODD = {
    "AWS_ENDPOINT_URL_S3": _endpoint,
    "LD_PRELOAD": _preloaded,
    "OMP_NUM_THREADS": _threads,
    "RAY_TRAIN_V2_ENABLED": _train,
}
_PROXIES = ("http_proxy", "https_proxy")
