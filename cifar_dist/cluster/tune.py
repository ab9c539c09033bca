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
from cifar_dist.cluster.connection import connected
from cifar_dist.cluster.driver import followed
from cifar_dist.cluster.group import LEADER, GroupTrial
from cifar_dist.cluster.sampler import Sampler
from cifar_dist.cluster.slots import Slots, slots_for
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

    def __init__(self, book: Book, stop: Event, seconds: int | None, started: float) -> None:
        self._book, self._stop = book, stop
        self._seconds, self._started = seconds, started

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


def sweep_trials(space: Space, sweep: Sweep, progress: SweepProgress, stop: Event) -> Trials:
    """Run every trial of a space on the cluster.

    Raises DeviceError for trials that fit nowhere, InterruptedRunError when stopped.
    """
    started = time.monotonic()
    epochs = _longest(space)
    rungs = _rungs(space.asha, epochs)
    with connected() as cluster, tempfile.TemporaryDirectory(prefix="cifar-dist-ray-") as scratch:
        slots = slots_for(space.job.placement, cluster)
        progress.located(cluster.dashboard)
        book = Book(space.count, rungs, Ledger(sweep, sweep.claim_attempt()), progress)
        stopper = _Stop(book, stop, space.budget.seconds, started)
        channel = Channel(f"{sweep.prefix}/{uuid.uuid4().hex}")
        spec = {"sweep": sweep.prefix, "rungs": rungs, "channel": channel.name}
        tuner = tune.Tuner(
            _trainable(space.job, slots, spec),
            tune_config=_tune_config(space, epochs, Sampler(space, book, slots.count)),
            run_config=_run_config(space.job, scratch, book, stopper),
        )
        try:
            followed(tuner.fit, lambda: channel.request_stop() if stopper.stop_all() else None)
        except RunError as error:
            raise book.error or error from error
        finally:
            channel.close()
        book.close()
    rows = _ended_rows(book, sweep, space.count)
    return Trials(rows, _cost(space, slots, book, time.monotonic() - started))


def _trainable(job: Job, slots: Slots, spec: dict[str, Any]) -> Any:
    placement = slots.placement.model_dump(mode="json")
    shared = {**spec, "job": job.model_dump(mode="json"), "placement": placement}
    kind, reserved = (Trial, slots.worker) if slots.workers == 1 else (GroupTrial, LEADER)
    bundle = tune.PlacementGroupFactory([reserved])
    return tune.with_resources(tune.with_parameters(kind, spec=shared), bundle)


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


def _longest(space: Space) -> int:
    """Give the most epochs that a trial may have."""
    searched = [v.parameter for v in space.tree.variables if v.name.startswith("recipe.epochs")]
    values = [value for parameter in searched for value in parameter.values]
    return max(space.job.recipe.epochs, *(value for value in values if isinstance(value, int)), 1)


def _cost(space: Space, slots: Slots, book: Book, seconds: float) -> SweepCost:
    base, rows = space.job.recipe.epochs, book.rows.values()
    busy = slots.workers * book.busy_seconds
    return SweepCost(
        wall_seconds=seconds,
        cpu_seconds=slots.worker["CPU"] * busy,
        gpu_seconds=slots.worker.get("GPU", 0.0) * busy,
        epochs_run=sum(row.epochs for row in rows),
        epochs_without_pruning=sum(row.parameters.get("recipe.epochs", base) for row in rows),
    )


def _tune_config(space: Space, epochs: int, sampler: Sampler) -> tune.TuneConfig:
    asha, scheduler = space.asha, None
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
        search_alg=sampler,
        num_samples=space.count,
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
