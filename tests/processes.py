"""Several gloo processes of this machine, each a rank of one world."""

import multiprocessing
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import start_processes

from cifar_dist.world import World

# Torch is imported once, by the server that all ranks of all worlds are forked from.
multiprocessing.set_forkserver_preload(["cifar_dist.session", "torch._dynamo"])


def in_processes(size: int, folder: Path, work: Callable[[World, Path], Any]) -> list[Any]:
    """Give what a module's function returned on each rank: tensors and plain data."""
    start_processes(_rank, (work, size, folder), nprocs=size, start_method="forkserver")
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(size)]


def _rank(rank: int, work: Callable[[World, Path], Any], size: int, folder: Path) -> None:
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    meeting = (folder / "meeting").as_uri()
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size)
    torch.save(work(World(rank, size), folder), folder / f"{rank}.pt")
    dist.destroy_process_group()
