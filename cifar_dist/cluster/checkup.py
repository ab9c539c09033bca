"""Workers that compute what is known beforehand, to see that they can: for `doctor`."""

import platform
import time
from typing import Any, NamedTuple

import torch
import torch.distributed as dist

from cifar_dist.cluster.connection import connected
from cifar_dist.cluster.driver import followed, ray_folder
from cifar_dist.cluster.train import placed, this_world, trainer
from cifar_dist.config import Job, Placement, Recipe, parse_job, patched
from cifar_dist.data import Images
from cifar_dist.device import device_for, device_name
from cifar_dist.errors import DeviceError, RunError
from cifar_dist.learner import Learner
from cifar_dist.precision import Arithmetic
from cifar_dist.world import World

_NUMBERS = 4 << 20  # of fp32, 16 MiB: about what the gradient of a small net takes
_ROUNDS = 5
_IMAGES = 62  # no multiple of a usual count of workers: their shares differ
_SEED = 0
_RECIPE = {
    "recipe.model.name": "regularized_cnn",  # its batch norms meet in both directions, too
    "recipe.model.dropout": 0.0,
    "recipe.batch_size": _IMAGES,
    "recipe.precision": "fp32",
    "recipe.optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.0, "weight_decay": 0.0},
    "recipe.schedule.name": "constant",
    "recipe.augmentation": [],
    "recipe.warmup_epochs": 0.0,
}
_PATIENCE = {"placement.max_failures": 0, "placement.collective_timeout_seconds": 60}


class Group(NamedTuple):
    """What a group of workers came to."""

    nodes: tuple[tuple[float, float], ...]
    """CPUs and GPUs of each machine of the cluster."""
    hosts: tuple[str, ...]
    """Where each worker ran, by rank."""
    backend: str
    device: str
    sum_is_exact: bool
    bytes: int
    """Size of the tensor that was added up."""
    bytes_per_second: float
    """Its size over the time of one all-reduce of it."""
    gradient_difference: float
    """Largest difference between the group's gradient and one process's, of the largest entry."""


def meet(workers: int) -> Group:
    """Let workers add up known numbers and take a training step. Raises DeviceError, RunError."""
    with connected() as cluster, ray_folder() as scratch:
        try:
            job = placed(_job(workers), cluster)
            fit = trainer(_work, {"job": job.model_dump(mode="json")}, job.placement, scratch).fit
            fitted = followed(fit, _nothing)
        except (DeviceError, RunError) as error:
            # Its own remedy is one for a run.
            what = str(error).rpartition("; ")[0] or str(error)
            raise type(error)(
                f"{what}; ask for fewer with --workers, or look at the logs of the nodes"
            ) from error
    return Group(nodes=cluster.nodes, **fitted.return_value)


def _job(workers: int) -> Job:
    return patched(parse_job(None), {**_RECIPE, **_PATIENCE, "placement.workers": workers})


def _nothing() -> None:
    """Show nothing while workers work."""


def _work(given: dict[str, Any]) -> dict[str, Any]:
    job, world = parse_job(given["job"]), this_world()
    return measured(job.recipe, job.placement, world)


def measured(recipe: Recipe, placement: Placement, world: World) -> dict[str, Any]:
    """Give what this world's ranks came to, as fields of a Group; every rank calls it."""
    device = device_for(placement)
    is_exact, seconds = _added_up(world, device)
    size = _NUMBERS * 4
    return {
        "hosts": tuple(_hosts(world)),
        "backend": dist.get_backend() if world.size > 1 else "no network",
        "device": device_name(device),
        "sum_is_exact": is_exact,
        "bytes": size,
        "bytes_per_second": size / seconds,
        "gradient_difference": _difference(recipe, device, world),
    }


def _hosts(world: World) -> list[str]:
    hosts = [platform.node()]
    if world.size > 1:
        hosts *= world.size
        dist.all_gather_object(hosts, platform.node())
    return hosts


def _added_up(world: World, device: torch.device) -> tuple[bool, float]:
    """Add up each rank's number, in a tensor of equal ones; gives the seconds of one round."""
    numbers = torch.empty(_NUMBERS, device=device)
    is_exact, seconds = True, []
    for _ in range(_ROUNDS):
        numbers.fill_(world.rank + 1)
        before = time.perf_counter()
        # Reading one waits for a GPU.
        world.add(numbers)[0].item()
        seconds.append(time.perf_counter() - before)
        is_exact &= bool((numbers == world.size * (world.size + 1) / 2).all())
    return is_exact, min(seconds)


def _difference(recipe: Recipe, device: torch.device, world: World) -> float:
    together, alone = (_gradient(recipe, device, of) for of in (world, World()))
    return float((together - alone).abs().max() / alone.abs().max())


def _gradient(recipe: Recipe, device: torch.device, world: World) -> torch.Tensor:
    """Give the gradient of one batch, as a step of plain descent shows it."""
    drawn = torch.Generator().manual_seed(_SEED)
    pixels = torch.randint(0, 256, (_IMAGES, 3, 32, 32), generator=drawn).to(torch.uint8)
    images = Images(pixels, torch.arange(_IMAGES) % 10)
    learner = Learner(recipe, images, Arithmetic("fp32", device), world)
    before = [parameter.detach().clone() for parameter in learner.model.parameters()]
    learner.advance(next(learner.batches()))
    after = [parameter.detach() for parameter in learner.model.parameters()]
    steps = [(old - new).flatten() for old, new in zip(before, after, strict=True)]
    return torch.cat(steps) / learner.lr
