"""One run over Ray Train workers: the driver's side and the worker's."""

import tempfile
import uuid
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any, Protocol

import ray.train
from ray.train import FailureConfig, RunConfig, ScalingConfig, UserCallback
from ray.train.torch import TorchConfig, TorchTrainer

from cifar_dist.cluster.channel import Channel
from cifar_dist.cluster.connection import Cluster, connected, require
from cifar_dist.cluster.driver import followed
from cifar_dist.cluster.failures import deliberate, is_bug
from cifar_dist.config import Job, Placement, parse_job, patched
from cifar_dist.documents import EpochRecord
from cifar_dist.runs import Run
from cifar_dist.session import Result, train_session
from cifar_dist.store import open_store
from cifar_dist.world import World

_CONTROLLER_FAILURES = 5

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

        with tempfile.TemporaryDirectory(prefix="cifar-dist-ray-") as scratch:
            config = {
                "job": job.model_dump(mode="json"),
                "prefix": run.prefix,
                "channel": channel.name,
            }
            try:
                fitted = followed(trainer(_work, config, job.placement, scratch).fit, poll)
            finally:
                channel.close()
    return Result.model_validate(fitted.return_value)


def placed(job: Job, cluster: Cluster) -> Job:
    """Fill in what the job leaves open, from what the cluster has. Raises DeviceError."""
    placement = job.placement
    gpus = cluster.gpus_per_worker(placement)
    workers = placement.workers
    if workers is None:
        workers = max(1, int(cluster.gpus / gpus)) if gpus else 1
    cpus = placement.cpus_per_worker
    if cpus is None:
        share = cluster.cpus / workers
        cpus = float(min(int(share), 8)) if share >= 1 else int(share * 100) / 100
    require(cluster, cpus * workers, gpus * workers)
    return patched(
        job,
        {
            "placement.workers": workers,
            "placement.cpus_per_worker": cpus,
            "placement.gpus_per_worker": gpus,
        },
    )


def trainer(work: Work, config: dict[str, Any], placement: Placement, scratch: str) -> TorchTrainer:
    """Let every worker of a placement do `work`; what the chief returns is the return value."""
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
                controller_failure_limit=_CONTROLLER_FAILURES,
            ),
            callbacks=[_NoRetry()],
        ),
    )


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

    def observe(self, step: int, total: int, history: Sequence[EpochRecord]) -> None:
        records = [record.model_dump(mode="json") for record in history]
        self._channel.publish({"step": step, "total": total, "history": records})


def this_world() -> World:
    """Give a worker's place among the others."""
    context = ray.train.get_context()
    return World(context.get_world_rank(), context.get_world_size())


def _work(config: dict[str, Any]) -> dict[str, Any]:
    job = parse_job(config["job"])
    run = Run(open_store(job.store), config["prefix"])
    result = train_session(job, run, this_world(), _Reporter(Channel(config["channel"])))
    return result.model_dump(mode="json")
