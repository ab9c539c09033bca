"""Which processor this process computes on: refused where what was asked for is not there."""

import os

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
