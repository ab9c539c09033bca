"""A few steps of a real training, timed and weighed, on the images it would see."""

import gc
import re
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from threading import Event, Thread

import torch
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from cifar_dist.config import Recipe
from cifar_dist.data import Dataset, Images
from cifar_dist.learner import Learner
from cifar_dist.loop import evaluate
from cifar_dist.precision import Arithmetic
from cifar_dist.world import World

_SECONDS = 4.0  # of one combination's steps, after which two are enough
_FEWEST = 2
_EVALUATED = {"cpu": 500, "cuda": 10_000}  # images
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.M)


@dataclass(frozen=True)
class Measured:
    """What one combination was measured to need."""

    step_seconds: tuple[float, ...]
    """Of each timed step, in order of length."""
    cpu_share: float
    """Of the time that its thread computed while steps were timed; 1 on a quiet CPU."""
    evaluation_seconds: float
    """Of one image, in fp32."""
    memory_bytes: int
    gpu_memory_bytes: int | None
    gradient_bytes: int
    checkpoint_bytes: int
    parameters: int
    norms: int


def measure(recipe: Recipe, dataset: Dataset, arithmetic: Arithmetic, steps: int) -> Measured:
    """Take so many optimizer steps, the first of which is not timed; nothing is kept."""
    device = arithmetic.device
    _forget_peaks(device)
    # A schedule ends with its last epoch, and there may be few images.
    longer = recipe.model_copy(update={"epochs": max(recipe.epochs, steps)})
    learner = Learner(longer, dataset.train, arithmetic)
    cpu, wall = time.thread_time(), time.perf_counter()
    seconds = sorted(_timed(learner, steps))
    cpu_share = min(1.0, (time.thread_time() - cpu) / (time.perf_counter() - wall))
    trained = [each for each in learner.trained.parameters() if each.requires_grad]
    return Measured(
        step_seconds=tuple(seconds),
        cpu_share=cpu_share if device.type == "cpu" else 1.0,
        evaluation_seconds=_evaluation_seconds(learner, dataset.validation or dataset.test),
        memory_bytes=_peak_bytes(),
        gpu_memory_bytes=torch.cuda.max_memory_reserved() if device.type == "cuda" else None,
        gradient_bytes=sum(each.numel() * each.element_size() for each in trained),
        checkpoint_bytes=learner.snapshot().size_bytes,
        parameters=learner.parameters,
        norms=sum(isinstance(each, _BatchNorm) for each in learner.trained.modules()),
    )


@contextmanager
def as_a_trial(threads: int, others: int) -> Iterator[None]:
    """Compute meanwhile on as many threads as a trial, beside as many others that compute, too.

    What those do holds no lock of Python's: they share caches and memory, as processes would.
    """
    before, done = torch.get_num_threads(), Event()

    def compute() -> None:
        torch.set_num_threads(threads)  # each thread has a number of its own
        images, filters = torch.rand(32, 64, 32, 32), torch.rand(64, 64, 3, 3)
        with torch.inference_mode():
            while not done.is_set():
                functional.conv2d(images, filters, padding=1)

    company = [Thread(target=compute, daemon=True) for _ in range(others)]
    torch.set_num_threads(threads)
    try:
        for each in company:
            each.start()
        yield
    finally:
        done.set()
        for each in company:
            each.join()
        torch.set_num_threads(before)


def _timed(learner: Learner, steps: int) -> list[float]:
    whole = [batch for batch in learner.batches() if len(batch) == learner.recipe.batch_size]
    found: list[float] = []
    learner.trained.train()
    for batch in islice(cycle(whole or list(learner.batches())), steps):
        started = time.perf_counter()
        learner.advance(batch)
        learner.tally[0].item()  # waits for the device, too
        found.append(time.perf_counter() - started)
        if len(found) > _FEWEST and sum(found) > _SECONDS:
            break
    return found[1:]


def _evaluation_seconds(learner: Learner, images: Images) -> float:
    count = min(len(images), _EVALUATED[learner.pixels.device.type])
    part = Images(images.pixels[:count], images.labels[:count])
    evaluate(learner.model, part, World())
    started = time.perf_counter()
    evaluate(learner.model, part, World())
    return (time.perf_counter() - started) / count


def _forget_peaks(device: torch.device) -> None:
    gc.collect()
    with suppress(OSError):  # where that may not be written, the peak is the process's own
        Path("/proc/self/clear_refs").write_text("5")
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _peak_bytes() -> int:
    with suppress(OSError):
        if found := _PEAK.search(Path("/proc/self/status").read_text()):
            return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
