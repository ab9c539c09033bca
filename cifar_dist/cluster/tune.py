"""A sweep on Ray Tune: warm workers, ASHA on epochs, every decision in our own ledger."""

import tempfile
import time
import uuid
from dataclasses import dataclass
from threading import Event
from typing import Any

from ray import tune
from ray.tune.schedulers.async_hyperband import ASHAScheduler
from ray.tune.stopper import NoopStopper

from cifar_dist.cluster.book import Book, SweepProgress
from cifar_dist.cluster.channel import Channel
from cifar_dist.cluster.connection import Cluster, connected, require
from cifar_dist.cluster.driver import followed
from cifar_dist.cluster.trial import Trial
from cifar_dist.config import Job
from cifar_dist.documents import SweepCost, TrialRow
from cifar_dist.errors import InterruptedRunError, RunError
from cifar_dist.runs import Ledger, Sweep
from cifar_dist.search import Asha, Space


@dataclass(frozen=True)
class Trials:
    """What a sweep's trials came to, in the order of their numbers."""

    rows: list[TrialRow]
    cost: SweepCost


class _Stop(tune.Stopper):
    """Ends a sweep when it is asked to or has spent its time."""

    def __init__(self, book: Book, stop: Event, seconds: int | None) -> None:
        self._book, self._stop, self._seconds = book, stop, seconds
        self._started = time.monotonic()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        # Written down by Tune and never read again, like the book.
        return NoopStopper, ()

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        """Tell Tune to start and continue nothing."""
        if self._stop.is_set():
            self._book.interrupted = True
        elif self._seconds and time.monotonic() - self._started > self._seconds:
            self._book.ended_by = f"the sweep's budget of {self._seconds} s was spent"
        return self._book.interrupted or self._book.ended_by is not None


def sweep_trials(
    space: Space, sweep: Sweep, job: Job, progress: SweepProgress, stop: Event
) -> Trials:
    """Run every trial of a space on the cluster. Raises InterruptedRunError when stopped."""
    started = time.monotonic()
    overrides = [space.overrides(number, job.recipe.seed) for number in range(space.count)]
    epochs = [changes.get("recipe.epochs", job.recipe.epochs) for changes in overrides]
    rungs = _rungs(space.asha, max(epochs))
    book = Book(overrides, rungs, Ledger(sweep, sweep.claim_attempt()), progress)
    stopper = _Stop(book, stop, space.budget.seconds)
    with connected() as cluster, tempfile.TemporaryDirectory(prefix="cifar-dist-ray-") as scratch:
        progress.located(cluster.dashboard)
        resources = _resources(job, cluster)
        channel = Channel(f"{sweep.prefix}/{uuid.uuid4().hex}")
        spec = {"sweep": sweep.prefix, "overrides": overrides, "rungs": rungs}
        tuner = tune.Tuner(
            _trainable(job, channel, spec, resources),
            param_space={"number": tune.grid_search(list(range(space.count)))},
            tune_config=_tune_config(space.asha, max(epochs)),
            run_config=_run_config(job, scratch, book, stopper),
        )
        try:
            followed(tuner.fit, lambda: channel.request_stop() if stopper.stop_all() else None)
        finally:
            channel.close()
        book.close()
    rows = _ended_rows(book, sweep, space.count)
    used = {name: share * book.busy_seconds for name, share in resources.items()}
    cost = SweepCost(
        wall_seconds=time.monotonic() - started,
        cpu_seconds=used["CPU"],
        gpu_seconds=used.get("GPU", 0.0),
        epochs_run=sum(row.epochs for row in rows),
        epochs_without_pruning=sum(epochs[row.trial] for row in rows),
    )
    return Trials(rows, cost)


def _trainable(
    job: Job, channel: Channel, spec: dict[str, Any], resources: dict[str, float]
) -> Any:
    shared = {
        **spec,
        "job": job.model_dump(mode="json"),
        "channel": channel.name,
        "started_at": time.time(),
    }
    bundle = tune.PlacementGroupFactory([resources])
    return tune.with_resources(tune.with_parameters(Trial, spec=shared), bundle)


def _ended_rows(book: Book, sweep: Sweep, count: int) -> list[TrialRow]:
    name = sweep.prefix.rpartition("/")[2]
    if book.interrupted:
        raise InterruptedRunError(
            f"sweep {name} was interrupted with {len(book.rows)} of {count} trials ended; "
            "what they committed stays, --fresh starts it again"
        )
    if not book.rows:
        raise RunError(f"no trial of sweep {name} ended in time; raise budget.seconds")
    return [book.rows[number] for number in sorted(book.rows)]


def _rungs(asha: Asha | None, epochs: int) -> list[int]:
    """Give the epochs at which ASHA decides: grace, and each reduction factor further."""
    rungs = []
    rung = asha.grace_epochs if asha else epochs
    while asha and rung < epochs:
        rungs.append(rung)
        rung *= asha.reduction_factor
    return rungs


def _resources(job: Job, cluster: Cluster) -> dict[str, float]:
    """Choose what one trial reserves: one CPU, and a GPU where there are any."""
    placement = job.placement
    gpus = placement.gpus_per_worker
    if gpus is None:
        gpus = 1.0 if cluster.gpus >= 1 else 0.0
    cpus = placement.cpus_per_worker or 1.0
    require(cluster, cpus, gpus)
    return {"CPU": cpus, "GPU": gpus} if gpus else {"CPU": cpus}


def _tune_config(asha: Asha | None, epochs: int) -> tune.TuneConfig:
    scheduler = None
    if asha is not None:
        scheduler = ASHAScheduler(
            time_attr="epoch",
            metric="validation_accuracy",
            mode="max",
            max_t=epochs,
            grace_period=min(asha.grace_epochs, epochs),
            reduction_factor=asha.reduction_factor,
        )
    return tune.TuneConfig(
        scheduler=scheduler,
        reuse_actors=True,
        trial_name_creator=lambda trial: f"trial-{trial.config['number']}",
        trial_dirname_creator=lambda trial: f"{trial.config['number']:06d}",
    )


def _run_config(job: Job, scratch: str, book: Book, stopper: _Stop) -> tune.RunConfig:
    return tune.RunConfig(
        name="sweep",
        storage_path=scratch,
        callbacks=[book],
        stop=stopper,
        failure_config=tune.FailureConfig(max_failures=job.placement.max_failures),
        # Checkpoints are ours: with Ray's own, every stop would ask a trial for one.
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        verbose=0,
    )
