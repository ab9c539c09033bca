"""A run from its job to its document: begun or found again, trained here or on workers, kept."""

import os
import time
from typing import TYPE_CHECKING, Any

from cifar_dist.errors import DataError, InterruptedRunError, RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import Event

    from cifar_dist.api.follower import Follower
    from cifar_dist.cluster.train import Progress
    from cifar_dist.config import Job
    from cifar_dist.documents import TrainDocument
    from cifar_dist.runs import Run
    from cifar_dist.session import Result
    from cifar_dist.store import Store


def run_job(
    job: "Job", follower: "Follower", *, again: bool = False, resume: bool = False
) -> "TrainDocument":
    """Train a job to its end; a finished run is given back as it is.

    Raises RefusedError for an unfinished one unless `resume` or `again` says what to do.
    """
    from cifar_dist.config import patched
    from cifar_dist.dataset import find
    from cifar_dist.store import open_store

    store = open_store(job.store, job.s3)
    find(job.recipe.data, s3=job.s3)
    job = patched(job, address(store, job))

    from cifar_dist.device import check_device
    from cifar_dist.outcome import start_run
    from cifar_dist.session import recipe_data

    check_device(job.placement)
    run = start_run(store, job, recipe_data(job).facts(), again=again, resume=resume)
    return _finished(job, run, follower)


def continue_run(run: "Run", follower: "Follower", workers: int | None = None) -> "TrainDocument":
    """Continue a run from its newest intact checkpoint. Raises DataError on other images."""
    from cifar_dist.config import parse_job, patched
    from cifar_dist.runs import Run
    from cifar_dist.store import reopened

    stored = parse_job(run.document["job"])
    run = Run(reopened(run.store, stored.s3), run.prefix)
    job = patched(stored, address(run.store, stored))
    if workers is not None:
        job = patched(job, {"placement.workers": workers})
    if run.finished is None:
        instead = "train on the new ones with `cifar-dist train`"
        check_images(job, run.document["data"], run.prefix, instead)
    return _finished(job, run, follower)


def address(store: "Store", job: "Job") -> dict[str, Any]:
    """Give what makes a job reach its store, and images that lie in S3, from any process."""
    from cifar_dist.store import open_store

    if "s3" in store.address or not job.recipe.data.startswith("s3://"):
        return store.address
    return {**store.address, "s3": open_store(job.recipe.data, job.s3).address["s3"]}


def check_ended(document: "TrainDocument") -> None:
    """Raise InterruptedRunError or RunError unless a run was trained to its end."""
    name = document.run
    if document.state == "interrupted":
        raise InterruptedRunError(
            f"run {name} was interrupted and is committed; go on with `cifar-dist resume {name}`, "
            "or in Python by resume=True"
        )
    if document.state == "failed":
        raise RunError(f"run {name} diverged: its loss is not finite; lower recipe.optimizer.lr")


def check_images(job: "Job", data: "Mapping[str, Any]", name: str, command: str) -> None:
    """Raise DataError unless the images are those that are stored; DeviceError without GPUs."""
    from cifar_dist.device import check_device
    from cifar_dist.session import recipe_data

    check_device(job.placement)
    if recipe_data(job).sha256 != data["sha256"]:
        raise DataError(
            f"the images of {job.recipe.data} changed since {name} began; bring them back, or "
            f"{command}"
        )


def _finished(job: "Job", run: "Run", follower: "Follower") -> "TrainDocument":
    from cifar_dist.documents import TrainDocument

    name = run.prefix.rpartition("/")[2]
    if run.finished is not None:
        follower.note(f"run {name} is finished; this is its result (--fresh runs it again)")
        document = TrainDocument.model_validate(run.finished)
        if job.test and document.state == "finished" and document.test is None:
            follower.note(f"it left the test split out: `cifar-dist evaluate {name} --split test`")
        return document
    from cifar_dist.outcome import publish_run

    follower.note(f"run {name} in {run.store.uri}")
    started = time.monotonic()
    work = _train_here if _in_process(job) else _train_on_workers
    with follower.run(name, job) as progress, follower.stopping() as stop:
        result = work(job, run, progress, stop)
    seconds = time.monotonic() - started
    if result.state == "interrupted":
        return publish_run(run, job, result, seconds)
    from cifar_dist.api.evidence import gather
    from cifar_dist.session import recipe_data

    evidence = gather(run, job, recipe_data(job), result.history)
    return publish_run(run, job, result, seconds, evidence)


def _train_on_workers(job: "Job", run: "Run", progress: "Progress", stop: "Event") -> "Result":
    from cifar_dist.cluster.train import train

    return train(job, run, progress, stop)


def _train_here(job: "Job", run: "Run", progress: "Progress", stop: "Event") -> "Result":
    from cifar_dist.counts import COUNTS
    from cifar_dist.device import usable_gpus
    from cifar_dist.machine import owned_cpus
    from cifar_dist.session import train_here

    gpus = min(1, usable_gpus()) if job.placement.gpus_per_worker != 0 else 0
    with COUNTS.reserved(1, owned_cpus(), gpus):
        return train_here(job, run, _Local(progress, stop.is_set))


class _Local:
    """Progress and stop request of a session in this process."""

    def __init__(self, progress: "Progress", stop_requested: "Callable[[], bool]") -> None:
        self.observe = progress.observe
        self.stop_requested = stop_requested

    def seconds_left(self) -> float | None:
        return None


def _in_process(job: "Job") -> bool:
    if job.placement.workers is not None:
        return job.placement.workers == 0
    from cifar_dist.device import usable_gpus

    return "RAY_ADDRESS" not in os.environ and usable_gpus() <= 1
