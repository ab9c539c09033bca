"""What a plan needs beside what this machine, the store and the budget hold."""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from cifar_dist.config import Job
from cifar_dist.documents.plan import PlannedFit, PlannedModel, PlannedTotal
from cifar_dist.machine import free_memory, owned_cpus
from cifar_dist.plan.cost import Layout
from cifar_dist.search import Budget
from cifar_dist.store.addresses import local_folder, scheme

_DRIVER_BYTES = 1_000_000_000  # Ray's own processes and the driver: assumed


@dataclass(frozen=True)
class Room:
    """What there is, looked up before anything was loaded; None cannot be known from here."""

    cpus: float | None
    memory_bytes: int | None
    gpu_memory_bytes: int | None
    store_bytes: int | None


def room_here(job: Job) -> Room:
    """Look at this machine, or at nothing but the store where a cluster is named."""
    is_here = "RAY_ADDRESS" not in os.environ
    gpu = torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else None
    return Room(
        cpus=owned_cpus() if is_here else None,
        memory_bytes=free_memory() if is_here else None,
        gpu_memory_bytes=gpu,
        store_bytes=_free_bytes(job.store),
    )


def fits(
    room: Room,
    layout: Layout,
    models: Sequence[PlannedModel],
    totals: Sequence[PlannedTotal],
    budget: Budget,
) -> list[PlannedFit]:
    """Compare, row by row; what only ends early or runs elsewhere is a warning."""
    named = {row.name: row for row in totals}
    return [
        _cpus(room, layout),
        _memory(room, layout, models),
        *_gpu_memory(room, layout, models),
        _disk(room, named["checkpoint_bytes"]),
        *_budgets(budget, named),
    ]


def _cpus(room: Room, layout: Layout) -> PlannedFit:
    needed, there = layout.slots * layout.workers * layout.cpus, room.cpus
    fit = PlannedFit(name="cpus", needed=needed, available=there, verdict="ok", remedy=None)
    if there is None or needed <= there:
        return fit
    if layout.cpus > there:
        remedy = "lower placement.cpus_per_worker, or plan on a machine like those of the workers"
        return fit.model_copy(update={"verdict": "failed", "remedy": remedy})
    remedy = "this machine cannot hold that many workers: the figures are an estimate for another"
    return fit.model_copy(update={"verdict": "warning", "remedy": remedy})


def _memory(room: Room, layout: Layout, models: Sequence[PlannedModel]) -> PlannedFit:
    most, here = max(model.memory_bytes for model in models), layout.slots * layout.workers
    if room.cpus is not None:  # what is planned on paper has machines of its own
        here = max(1, min(here, int(room.cpus / layout.cpus)))
    needed = here * most + _DRIVER_BYTES
    remedy = "lower --concurrency, batch_size or the model's width, or raise accumulation"
    return _compared("memory_bytes", needed, room.memory_bytes, remedy)


def _gpu_memory(room: Room, layout: Layout, models: Sequence[PlannedModel]) -> Iterator[PlannedFit]:
    held = [model.gpu_memory_bytes for model in models if model.gpu_memory_bytes is not None]
    if held and layout.gpus:
        beside = max(1, int(1 / layout.gpus + 1e-6))
        remedy = "raise placement.gpus_per_worker, lower batch_size, or raise accumulation"
        yield _compared("gpu_memory_bytes", beside * max(held), room.gpu_memory_bytes, remedy)


def _disk(room: Room, kept: PlannedTotal) -> PlannedFit:
    remedy = "make room, or name another store with --store"
    found = _compared("store_bytes", kept.expected, room.store_bytes, remedy)
    if found.verdict == "ok" and room.store_bytes is not None and kept.most > room.store_bytes:
        return found.model_copy(update={"verdict": "warning", "remedy": remedy})
    return found


def _budgets(budget: Budget, named: dict[str, PlannedTotal]) -> Iterator[PlannedFit]:
    rows = {"seconds": "wall_seconds", "cpu_hours": "cpu_hours", "gpu_hours": "gpu_hours"}
    for part, name in {**rows, "cost": "cost"}.items():
        most, row = getattr(budget, part), named.get(name)
        if most is None or row is None:
            continue
        found = _compared(f"budget_{part}", row.expected, most, "")
        is_short = found.verdict == "failed" or row.high > most
        remedy = "the budget may end the sweep early; raise it, or lower --trials or --epochs"
        changes = {"verdict": "warning", "remedy": remedy} if is_short else {}
        yield found.model_copy(update=changes)


def _compared(name: str, needed: float, there: float | None, remedy: str) -> PlannedFit:
    fits_in = there is None or needed <= there
    return PlannedFit(
        name=name,
        needed=needed,
        available=there,
        verdict="ok" if fits_in else "failed",
        remedy=None if fits_in else remedy,
    )


def _free_bytes(store: str) -> int | None:
    if scheme(store) != "file":
        return None
    folder = Path(local_folder(store)).absolute()
    place = next((path for path in (folder, *folder.parents) if path.is_dir()), None)
    return None if place is None else shutil.disk_usage(place).free
