"""What a measurement depends on besides the code measured: machine, versions and commit."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

import cifar_dist
from cifar_dist.machine import owned_cpus

_PACKAGES = ("torch", "ray", "albumentations", "numpy")
_ROOT = Path(__file__).parents[2]


def facts() -> dict[str, Any]:
    """Give machine and versions as plain data; what is not installed is None."""
    return {
        "machine": {
            "cpu": _cpu_model(),
            "cores_owned": owned_cpus(),
            "cores": os.cpu_count(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "openmp": {name: os.environ[name] for name in sorted(os.environ) if "OMP_" in name},
        },
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in _PACKAGES},
            "cifar_dist": cifar_dist.__version__,
            "commit": _commit(),
        },
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
