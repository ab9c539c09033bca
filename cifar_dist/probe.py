"""Which arithmetic trains fastest here: a few timed steps of each candidate."""

import math
import time
from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch

from cifar_dist.config import Job, Recipe
from cifar_dist.data import Dataset, Images
from cifar_dist.device import device_for
from cifar_dist.errors import ConfigError
from cifar_dist.learner import Learner, build_model
from cifar_dist.loop import evaluate
from cifar_dist.precision import Arithmetic, candidates, compiled_candidate
from cifar_dist.runs import Run, Sweep
from cifar_dist.world import World

_STEPS = 3  # timed steps of a candidate, after one that warms it up
_SECONDS = 1.5  # of a candidate; a slow model gets fewer steps
_IMAGES = {"cpu": 128, "cuda": 4_096}  # of a step: larger ones tell a CPU nothing new
_MARGIN = 1.05  # a candidate must beat fp32 by more than the noise


def probe(recipe: Recipe, train: Images, device: torch.device) -> dict[str, Any]:
    """Give the verdict `{name, reason, device, milliseconds, images}`; nothing is timed if set.

    Raises ConfigError if what is set does not run on this device.
    """
    verdict: dict[str, Any] = {"device": device.type, "milliseconds": {}}
    if recipe.precision == "bf16_compiled" and device.type == "cpu":
        raise ConfigError(
            "recipe.precision=bf16_compiled needs a GPU, as compiled code is slower on a CPU; "
            "leave it auto, which finds what is fast"
        )
    if recipe.precision != "auto":
        return verdict | {"name": recipe.precision, "reason": "set by the job"}
    batch = min(recipe.batch_size, _IMAGES[device.type], len(train))
    timed: dict[str, float] = {}

    def time_steps(name: str) -> None:
        seconds = _step_seconds(recipe, train, Arithmetic(name, device), batch)
        if math.isfinite(seconds):
            timed[name] = seconds

    for name in candidates(build_model(recipe.model, recipe.seed), device):
        time_steps(name)
    images = recipe.epochs * len(train)
    compiled = compiled_candidate(device, images / batch * min(timed.values(), default=0.0))
    if compiled is not None:
        time_steps(compiled)
    verdict["milliseconds"] = {name: round(seconds * 1000, 2) for name, seconds in timed.items()}
    verdict["images"] = batch
    where = f"in steps of {batch} images on this {device.type}"
    best = min(timed, key=timed.__getitem__, default="fp32")
    if "fp32" not in timed or timed["fp32"] < timed[best] * _MARGIN:
        return verdict | {"name": "fp32", "reason": f"nothing beat it {where}"}
    ratio = timed["fp32"] / timed[best]
    return verdict | {"name": best, "reason": f"{ratio:.2f} × the speed of fp32 {where}"}


def agreed_precision(shared: Run | Sweep, job: Job, train: Images, world: World) -> dict[str, Any]:
    """Give the one verdict on arithmetic of a run or a whole sweep; the first to need it probes."""
    verdict = world.by_chief(lambda: shared.remembered("precision.json"))
    if verdict is not None:
        return verdict
    # Not in by_chief's thread: another thread may have another current GPU.
    found = probe(job.recipe, train, device_for(job.placement)) if world.is_chief else {}
    return world.by_chief(lambda: shared.record("precision.json", found))


def thread_seconds(recipe: Recipe, train: Images, counts: Sequence[int]) -> dict[int, float]:
    """Give the seconds of a step on this CPU by the number of threads."""
    name = "fp32" if recipe.precision == "auto" else recipe.precision
    arithmetic = Arithmetic(name, torch.device("cpu"))
    batch = min(recipe.batch_size, _IMAGES["cpu"], len(train))
    before, found = torch.get_num_threads(), {}
    try:
        for count in counts:
            torch.set_num_threads(count)
            found[count] = _step_seconds(recipe, train, arithmetic, batch)
    finally:
        torch.set_num_threads(before)
    return found


def gpu_bytes(recipe: Recipe, dataset: Dataset) -> int:
    """Give what a trial allocates at most on this process's GPU: images, a few steps, evaluation.

    In fp32, as the other arithmetics need less.
    """
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    longer = recipe.model_copy(update={"epochs": max(recipe.epochs, _STEPS + 1)})
    learner = Learner(longer, dataset.train, Arithmetic("fp32", torch.device("cuda")))
    for batch in islice(learner.batches(), _STEPS):
        learner.advance(batch)
    evaluate(learner.model, dataset.validation or dataset.test, World())
    return int(torch.cuda.max_memory_reserved())


def _step_seconds(recipe: Recipe, train: Images, arithmetic: Arithmetic, batch: int) -> float:
    """Seconds of a step, the quickest as others may disturb; infinity if its loss is not finite."""
    images = batch * min(_STEPS + 1, len(train) // batch)
    part = Images(train.pixels[:images], train.labels[:images])
    # Of the job's own steps, larger ones, there may be too few for a schedule of this length.
    few = {
        "batch_size": batch,
        "accumulation": math.ceil(batch * recipe.accumulation / recipe.batch_size),
        "epochs": max(recipe.epochs, _STEPS + 1),
    }
    learner = Learner(recipe.model_copy(update=few), part, arithmetic)
    seconds: list[float] = []
    for step in range(_STEPS + 1):
        started = time.perf_counter()
        learner.advance(torch.arange(batch))
        finite = math.isfinite(learner.tally[0].item())  # waits for the device, too
        seconds.append(time.perf_counter() - started)
        if not finite:
            return math.inf
        if step and sum(seconds) > _SECONDS:
            break
    return min(seconds[1:])
