"""A sweep on Ray Tune: warm workers, ASHA on epochs, every decision in our own ledger."""

import time
import uuid
from dataclasses import dataclass
from threading import Event
from typing import Any

from ray import tune
from ray.tune.execution.class_cache import ENV_VARS_TO_PROPAGATE
from ray.tune.stopper import NoopStopper

from cifar_dist.cluster.asha import ReplayedAsha
from cifar_dist.cluster.book import Book, SweepProgress
from cifar_dist.cluster.channel import Channel
from cifar_dist.cluster.connection import connected
from cifar_dist.cluster.driver import followed, ray_folder
from cifar_dist.cluster.group import LEADER, GroupTrial
from cifar_dist.cluster.sampler import Sampler
from cifar_dist.cluster.slots import Slots, slots_for
from cifar_dist.cluster.trial import Trial
from cifar_dist.cluster.watch import Watch
from cifar_dist.config import Job
from cifar_dist.documents import SweepCost, TrialRow, TrialSpan
from cifar_dist.errors import InterruptedRunError, PreemptedError, RunError
from cifar_dist.redaction import is_secret
from cifar_dist.runs import Ledger, Sweep
from cifar_dist.search import Asha, Space
from cifar_dist.tally import Tally

# Tune would give each trial the driver's AWS keys in its runtime_env, which Ray's API and its logs
# tell; a worker has its own environment.
ENV_VARS_TO_PROPAGATE.difference_update([name for name in ENV_VARS_TO_PROPAGATE if is_secret(name)])


@dataclass(frozen=True)
class Trials:
    """What a sweep's trials came to, in the order of their numbers."""

    rows: list[TrialRow]
    cost: SweepCost
    spans: tuple[TrialSpan, ...] = ()
    slots: int | None = None
    """Trials that could run at once; None if an older ledger does not tell."""


class _Stop(tune.Stopper):
    """Ends a sweep when it is asked to or has spent its time, over all its attempts."""

    def __init__(self, book: Book, stop: Event, seconds: int | None, since: float) -> None:
        self._book, self._stop = book, stop
        self._seconds, self._since = seconds, since

    def __reduce__(self) -> tuple[type, tuple[()]]:
        # Written down by Tune and never read again, like the book.
        return NoopStopper, ()

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        """Tell Tune to start and continue nothing."""
        if self._stop.is_set():
            self._book.interrupted = True
        elif self._seconds and time.monotonic() - self._since > self._seconds:
            self._book.ended_by = f"the sweep's budget of {self._seconds} s was spent"
        book = self._book
        return book.interrupted or book.ended_by is not None or book.error is not None


def sweep_trials(space: Space, sweep: Sweep, progress: SweepProgress, stop: Event) -> Trials:
    """Run on the cluster every trial of a sweep that has not ended, and none that has.

    Raises DeviceError for trials that fit nowhere, InterruptedRunError when stopped.
    """
    started, goal = time.monotonic(), sweep.goal
    ledger = Ledger(sweep, sweep.claim_attempt(), started)
    rungs = _rungs(space.asha, _longest(space))
    book = Book(goal.trials or space.count, rungs, ledger, progress)
    spent = book.tally.wall_seconds - goal.spent_seconds
    book.standing.live(started, space.budget.seconds, goal.spent_seconds)
    progress.follow(book.standing)
    if book.ended < book.total:
        stopper = _Stop(book, stop, space.budget.seconds, started - spent)
        spec = {"sweep": sweep.prefix, "rungs": rungs}
        _search(space, spec, book, stopper)
    rows = _ended_rows(book, sweep)
    tally = book.tally
    return Trials(rows, _cost(space, tally, rows), tuple(tally.spans), tally.slots)


def _search(space: Space, spec: dict[str, Any], book: Book, stopper: _Stop) -> None:
    asha = ReplayedAsha(space.asha, _longest(space)) if space.asha else None
    with connected() as cluster, ray_folder() as scratch:
        slots = slots_for(space.job.placement, cluster)
        reserved = {name: slots.workers * share for name, share in slots.worker.items()}
        book.open_attempt(reserved, slots.count)
        book.progress.located(cluster.dashboard)
        for number in asha.replay(book.tally) if asha else ():
            book.prune(number)
        if book.ended < book.total and not stopper.stop_all():
            channel = Channel(f"{spec['sweep']}/{uuid.uuid4().hex}")
            tuner = tune.Tuner(
                _trainable(space.job, slots, {**spec, "channel": channel.name}),
                tune_config=_tune_config(book, Sampler(space, book, slots.count, asha), asha),
                run_config=_run_config(space.job, scratch, book, stopper),
            )
            _fit(tuner, Watch(channel, slots.placement), book, stopper)
        book.close()


def _fit(tuner: tune.Tuner, watch: Watch, book: Book, stopper: _Stop) -> None:
    channel = watch.channel

    def poll() -> None:
        if stopper.stop_all():
            channel.request_stop()

    try:
        followed(tuner.fit, poll, watch)
    except RunError as error:
        raise book.error or error from error
    except (PreemptedError, KeyboardInterrupt):
        # Tune's thread may live a little longer: what it tells from now on is not noted.
        book.error = book.error or PreemptedError("the sweep is left")
        raise
    finally:
        channel.close()
    if book.error is not None:  # told at a trial's end, Tune takes it for the trial's own failure
        raise book.error


def _trainable(job: Job, slots: Slots, spec: dict[str, Any]) -> Any:
    placement = slots.placement.model_dump(mode="json")
    shared = {**spec, "job": job.model_dump(mode="json"), "placement": placement}
    kind, reserved = (Trial, slots.worker) if slots.workers == 1 else (GroupTrial, LEADER)
    bundle = tune.PlacementGroupFactory([reserved])
    return tune.with_resources(tune.with_parameters(kind, spec=shared), bundle)


def _ended_rows(book: Book, sweep: Sweep) -> list[TrialRow]:
    if book.interrupted:
        raise InterruptedRunError(
            f"sweep {sweep.name} was interrupted with {book.ended} of {book.total} trials ended, "
            f"and the others are committed; go on with `cifar-dist resume {sweep.name}`, or in "
            "Python by resume=True"
        )
    if not book.ended:
        raise RunError(f"no trial of sweep {sweep.name} ended in time; raise budget.seconds")
    return [book.tally.row(number) for number in sorted(book.tally.ends)]


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


def _cost(space: Space, tally: Tally, rows: list[TrialRow]) -> SweepCost:
    base = space.job.recipe.epochs
    return SweepCost(
        wall_seconds=tally.wall_seconds,
        cpu_seconds=tally.cpu_seconds,
        gpu_seconds=tally.gpu_seconds,
        epochs_run=sum(row.epochs for row in rows),
        epochs_without_pruning=sum(row.parameters.get("recipe.epochs", base) for row in rows),
    )


def _tune_config(book: Book, sampler: Sampler, asha: ReplayedAsha | None) -> tune.TuneConfig:
    return tune.TuneConfig(
        search_alg=sampler,
        num_samples=book.total - book.ended,
        scheduler=asha,
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
