"""Which processor this process computes on: refused where what was asked for is not there."""

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from cifar_dist.config import Placement
from cifar_dist.errors import DeviceError


def device_for(placement: Placement) -> torch.device:
    """Choose this process's device. Raises DeviceError if GPUs are asked for and unusable."""
    if torch.cuda.is_available() and placement.gpus_per_worker != 0:
        return torch.device("cuda")
    if placement.gpus_per_worker:
        built = torch.version.cuda or "no CUDA"
        raise DeviceError(
            f"placement.gpus_per_worker={placement.gpus_per_worker:g} but no GPU can be used here "
            f"(torch {torch.__version__} is built for CUDA {built} and sees "
            f"{torch.cuda.device_count()} GPUs); check the driver with nvidia-smi, or set it to 0"
        )
    return torch.device("cpu")


def check_device(placement: Placement) -> None:
    """Raise DeviceError if this machine lacks the GPUs asked for; a cluster looks at its own."""
    if "RAY_ADDRESS" not in os.environ:
        device_for(placement)


def device_name(device: torch.device) -> str:
    """Name a device for a report."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def usable_gpus() -> int:
    """Count the GPUs that this process can use."""
    return torch.cuda.device_count()


def seed_device(device: torch.device, seed: int) -> None:
    """Seed what layers such as dropout draw from on a device.

    As torch.manual_seed, which asks all other kinds of device as well: 0.1 ms of each step.
    """
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def gpu_free_bytes() -> int:
    """Count the bytes that are free on this process's GPU."""
    return int(torch.cuda.mem_get_info()[0])


class Gpu(NamedTuple):
    """One GPU as torch sees it."""

    name: str
    capability: str
    is_supported: bool
    """Whether the installed torch has code that runs on it."""


class GpuFacts(NamedTuple):
    """The installed torch and the GPUs that it can use."""

    torch: str
    cuda: str | None
    gpus: tuple[Gpu, ...]


def gpu_facts() -> GpuFacts:
    """Look at the GPUs of this process; none if the driver does not fit torch."""
    return GpuFacts(str(torch.__version__), torch.version.cuda, tuple(_gpus()))


def runs_on(capability: tuple[int, int], built: Sequence[str]) -> bool:
    """Tell whether code built for some architectures, sm_86 or compute_90, runs on a GPU.

    Machine code runs on later GPUs of its major capability, PTX on every later one.
    """
    return any(_covers(text, capability) for text in built)


def _gpus() -> Iterator[Gpu]:
    if not torch.cuda.is_available():
        return
    built = torch.cuda.get_arch_list()
    for index in range(torch.cuda.device_count()):
        capability = torch.cuda.get_device_capability(index)
        name = torch.cuda.get_device_name(index)
        yield Gpu(name, ".".join(map(str, capability)), runs_on(capability, built))


def _covers(text: str, capability: tuple[int, int]) -> bool:
    kind, _, digits = text.partition("_")
    if not digits.rstrip("af").isdigit():
        return False
    major, minor = divmod(int(digits.rstrip("af")), 10)
    if digits.endswith("a"):  # features of this one architecture
        return (major, minor) == capability
    is_later = (major, minor) <= capability
    return is_later and (kind == "compute" or major == capability[0])
