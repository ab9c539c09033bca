"""What this machine offers: GPUs that the installed torch can use, memory, room on disks."""

import os
import shutil
import tempfile
from pathlib import Path

from cifar_dist.doctor.check import Checks, Finding, Setup, failed, ok, warning
from cifar_dist.errors import DeviceError, StoreError
from cifar_dist.machine import free_memory, owned_cpus
from cifar_dist.report.formats import size

_SHARED = Path("/dev/shm")  # where Ray keeps its objects
_CARDS = Path("/sys/bus/pci/devices")
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_NVIDIA = "0x10de"
_SHARED_BYTES = 256 << 20  # a local Ray takes half of it
_MEMORY_BYTES = 2 << 30
_LEAST_BYTES = 100_000_000  # a checkpoint of the largest model, of which two may lie side by side
_FEW_BYTES = 1_000_000_000

CHECKS = Checks(StoreError)


@CHECKS.add(seconds=60)
def gpu(_: Setup) -> Finding:
    """Compare driver and GPUs with the installed torch, which is asked only where there are any."""
    if not has_driver():
        if _has_nvidia_card():
            return warning("an NVIDIA GPU without its driver", "install the driver, or use CPUs")
        return ok("no NVIDIA GPU; training runs on CPUs")
    from cifar_dist.device import GpuFacts, gpu_facts

    facts: GpuFacts = gpu_facts()
    if not facts.gpus:
        if os.environ.get(_VISIBLE, "0") in ("", "-1"):
            return ok(f"{_VISIBLE} hides the GPUs; training runs on CPUs")
        return warning(
            f"torch {facts.torch}, built for CUDA {facts.cuda or 'none'}, cannot use the GPUs "
            "here; training runs on CPUs",
            f"check nvidia-smi and {_VISIBLE}; install a newer driver, or a torch built for the "
            "driver's CUDA",
        )
    names = ", ".join(f"{gpu.name} (capability {gpu.capability})" for gpu in facts.gpus)
    unfit = [gpu.capability for gpu in facts.gpus if not gpu.is_supported]
    if unfit:
        return failed(
            f"{names}: torch {facts.torch} has no kernels for capability {', '.join(unfit)}",
            "install a torch built for it, or set placement.gpus_per_worker=0",
            DeviceError,
        )
    return ok(f"{names}, CUDA {facts.cuda}")


@CHECKS.add()
def memory(_: Setup) -> Finding:
    """Look how much memory this process may still take."""
    free, cpus = free_memory(), owned_cpus()
    found = f"{size(free)} free, {cpus} CPUs"
    if free < _MEMORY_BYTES:
        return warning(found, "close other programs or raise the container's limit")
    return ok(found)


@CHECKS.add()
def shared_memory(_: Setup) -> Finding:
    """Look how much Ray can keep in shared memory."""
    if not _SHARED.is_dir():
        return warning(f"there is no {_SHARED}", "mount a tmpfs there; Ray uses the disk instead")
    usage = shutil.disk_usage(_SHARED)
    found = f"{size(usage.free)} of {size(usage.total)} free in {_SHARED}"
    if usage.free < _SHARED_BYTES:
        return warning(found, "give the container more (--shm-size=1g, or an emptyDir in Memory)")
    return ok(found)


@CHECKS.add()
def disk_temporary(_: Setup) -> Finding:
    """Look for room where checkpoints are staged."""
    from cifar_dist.store.disk import TEMPORARY, reported

    with reported(TEMPORARY):
        return room(Path(tempfile.gettempdir()), "TMPDIR")


@CHECKS.add()
def disk_cache(_: Setup) -> Finding:
    """Look for room where prepared images are kept."""
    from cifar_dist.dataset import cache

    return room(cache.root(None), "CIFAR_DIST_CACHE")


def has_driver() -> bool:
    """Tell whether there is a driver for NVIDIA's GPUs, on Linux or in its place on Windows."""
    return any(Path(path).exists() for path in ("/proc/driver/nvidia/version", "/dev/dxg"))


def room(folder: Path, name: str) -> Finding:
    """Look for room in a folder, which `name` chooses."""
    from cifar_dist.store.disk import reported

    with reported(str(folder)):
        place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        free = shutil.disk_usage(place).free
    found, remedy = f"{size(free)} free in {folder}", f"make room, or set {name} to another folder"
    if free < _LEAST_BYTES:
        return failed(f"{found}: no room for a checkpoint", remedy, StoreError)
    return warning(found, remedy) if free < _FEW_BYTES else ok(found)


def _has_nvidia_card() -> bool:
    for card in _CARDS.glob("*"):
        try:
            kind, maker = ((card / name).read_text().strip() for name in ("class", "vendor"))
        except OSError:
            continue
        if maker == _NVIDIA and kind.startswith("0x03"):
            return True
    return False
