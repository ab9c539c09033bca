"""One run over Ray Train workers: the driver's side and the worker's."""

import os
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from threading import Event
from typing import Any, Protocol

import ray.train
from ray.train import FailureConfig, RunConfig, ScalingConfig, UserCallback
from ray.train.torch import TorchConfig, TorchTrainer

from cifar_dist.cluster.channel import Channel
from cifar_dist.cluster.connection import Cluster, connected, require
from cifar_dist.cluster.driver import followed, ray_folder
from cifar_dist.cluster.failures import deliberate, is_bug
from cifar_dist.cluster.meters import count_steps
from cifar_dist.cluster.notice import group_seconds_left
from cifar_dist.cluster.relay import relayed
from cifar_dist.cluster.watch import Watch
from cifar_dist.config import Job, Placement, parse_job, patched
from cifar_dist.counts import COUNTS
from cifar_dist.documents import EpochRecord
from cifar_dist.runs import Run
from cifar_dist.session import Result, train_session
from cifar_dist.store import open_store
from cifar_dist.world import World

_MOST_CPUS = 8  # of one worker that does not say how many
_START_FAILURES = 30  # an hour for lost machines to be replaced, at Ray's 120 s for each
_SLOW_ANSWER_SECONDS = 30  # a worker that imports torch on a busy machine may be silent for long

Work = Callable[[dict[str, Any]], dict[str, Any]]


class Progress(Protocol):
    """Who shows where training stands."""

    def observe(self, step: int, total: int, history: Sequence[EpochRecord]) -> None:
        """Show it."""


def train(job: Job, run: Run, progress: Progress, stop: Event) -> Result:
    """Train a run on the cluster's workers; `stop` asks them to commit and end.

    Raises RunError after the last retry, or the deliberate error that ended a worker.
    """
    with connected() as cluster:
        job = placed(job, cluster)
        channel = Channel(f"{run.prefix}/{uuid.uuid4().hex}")

        def poll() -> None:
            if stop.is_set():
                channel.request_stop()
            _show(channel, progress)

        with ray_folder() as scratch:
            config = {
                "job": job.model_dump(mode="json"),
                "prefix": run.prefix,
                "channel": channel.name,
            }
            try:
                fit = trainer(_work, config, job.placement, scratch).fit
                with _reserved(job.placement):
                    fitted = followed(fit, poll, Watch(channel, job.placement))
            finally:
                channel.close()
    return Result.model_validate(fitted.return_value["result"])


def placed(job: Job, cluster: Cluster) -> Job:
    """Fill in what the job leaves open, from what the cluster has. Raises DeviceError."""
    placement = job.placement
    gpus = cluster.gpus_per_worker(placement)
    workers = placement.workers
    if workers is None:
        workers = max(1, int(cluster.gpus / gpus)) if gpus else 1
    cpus = placement.cpus_per_worker
    if cpus is None:
        cpus = _share(cluster, workers, gpus)
    require(cluster, workers, cpus, gpus)
    return patched(
        job,
        {
            "placement.workers": workers,
            "placement.cpus_per_worker": cpus,
            "placement.gpus_per_worker": gpus,
        },
    )


def _share(cluster: Cluster, workers: int, gpus: float) -> float:
    """Give the most whole CPUs, or the part of one, that each worker finds on a machine."""
    share = cluster.cpus / workers
    whole = range(min(int(share), _MOST_CPUS), 0, -1)
    fitting = (float(cpus) for cpus in whole if cluster.room(cpus, gpus) >= workers)
    return next(fitting, min(int(share * 100) / 100, 1.0) or 1.0)


def trainer(work: Work, config: dict[str, Any], placement: Placement, scratch: str) -> TorchTrainer:
    """Let every worker of a placement do `work`; what the chief returns is the return value."""
    _settle_hangs(placement.collective_timeout_seconds)
    resources = {"CPU": placement.cpus_per_worker, "GPU": placement.gpus_per_worker}
    return TorchTrainer(
        work,
        train_loop_config=config,
        torch_config=TorchConfig(timeout_s=placement.collective_timeout_seconds),
        scaling_config=ScalingConfig(
            num_workers=placement.workers,
            use_gpu=bool(placement.gpus_per_worker),
            resources_per_worker={name: share for name, share in resources.items() if share},
        ),
        run_config=RunConfig(
            name="attempt",
            # A new empty folder for every fit: Ray would resume silently from an old one.
            storage_path=scratch,
            failure_config=FailureConfig(
                max_failures=placement.max_failures,
                max_preemption_failures=-1,
                controller_failure_limit=_START_FAILURES,
            ),
            callbacks=[_NoRetry()],
        ),
    )


def _reserved(placement: Placement) -> AbstractContextManager[None]:
    workers = placement.workers or 1
    cpus, gpus = placement.cpus_per_worker or 0.0, placement.gpus_per_worker or 0.0
    return COUNTS.reserved(workers, workers * cpus, workers * gpus)


def _settle_hangs(timeout_seconds: int) -> None:
    """Set when a worker counts as hung, wherever the others happen to wait for it.

    Ray takes these from the environment of the process that calls `fit`.
    """
    os.environ["RAY_TRAIN_COLLECTIVE_TIMEOUT_S"] = str(timeout_seconds)
    answer_seconds = max(timeout_seconds, _SLOW_ANSWER_SECONDS)
    os.environ["RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S"] = str(answer_seconds)


class _NoRetry(UserCallback):
    """Ends a run at its first deliberate error or bug: a restart cannot mend it."""

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Raise the error in the controller, which Ray never retries."""
        for error in worker_exceptions.values():
            if (found := deliberate(error)) is not None:
                raise found
            if is_bug(error):
                raise error


def _show(channel: Channel, progress: Progress) -> None:
    if seen := channel.progress():
        history = [EpochRecord.model_validate(record) for record in seen["history"]]
        progress.observe(seen["step"], seen["total"], history)


class _Reporter:
    """A worker's observer: progress goes to the driver, its stop request comes back."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.stop_requested = channel.stop_requested
        self.seconds_left = group_seconds_left

    def observe(self, step: int, total: int, history: Sequence[EpochRecord]) -> None:
        records = [record.model_dump(mode="json") for record in history]
        self._channel.publish({"step": step, "total": total, "history": records})


def this_world() -> World:
    """Give a worker's place among the others."""
    context = ray.train.get_context()
    return World(context.get_world_rank(), context.get_world_size())


def _work(config: dict[str, Any]) -> dict[str, Any]:
    job, channel, world = parse_job(config["job"]), Channel(config["channel"]), this_world()
    with relayed(channel, f"worker {world.rank}"):
        if world.is_chief and channel.progress():  # of workers that were lost
            COUNTS.add("restarts")
        run = Run(open_store(job.store, job.s3), config["prefix"])
        flush = count_steps(run.prefix.rpartition("/")[2])
        result = train_session(job, run, world, _Reporter(channel))
        flush()
    return {"result": result.model_dump(mode="json")}
