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
from cifar_dist.cluster.planned import beside_planned, planned_seconds
from cifar_dist.cluster.sampler import Sampler
from cifar_dist.cluster.shares import placement_of
from cifar_dist.cluster.slots import Slots, slots_for
from cifar_dist.cluster.trial import Trial
from cifar_dist.cluster.watch import Watch
from cifar_dist.config import Job
from cifar_dist.documents import SweepCost, TrialRow, TrialSpan
from cifar_dist.errors import InterruptedRunError, PreemptedError, RunError
from cifar_dist.redaction import is_secret
from cifar_dist.runs import Goal, Ledger, Sweep
from cifar_dist.search import Space, rungs_of
from cifar_dist.spending import Allowance, Prices, Spent
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
    ended_by: str | None = None
    """Which part of the budget ended the sweep before all was tried."""


class _Stop(tune.Stopper):
    """Ends a sweep when it is asked to or has spent its budget, over all its attempts."""

    def __init__(self, book: Book, stop: Event) -> None:
        self._book, self._stop = book, stop

    def __reduce__(self) -> tuple[type, tuple[()]]:
        # Written down by Tune and never read again, like the book.
        return NoopStopper, ()

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        """Tell Tune to start and continue nothing."""
        book = self._book
        if self._stop.is_set():
            book.interrupted = True
        elif book.ended_by is None:
            book.ended_by = book.standing.exhausted()
        return book.interrupted or book.ended_by is not None or book.error is not None


def sweep_trials(space: Space, sweep: Sweep, progress: SweepProgress, stop: Event) -> Trials:
    """Run on the cluster every trial of a sweep that has not ended, and none that has.

    Raises DeviceError for trials that fit nowhere, InterruptedRunError when stopped.
    """
    started, goal = time.monotonic(), sweep.goal
    ledger = Ledger(sweep, sweep.claim_attempt(), started)
    rungs = rungs_of(space)
    book = Book(goal.trials or space.count, rungs, ledger, progress)
    book.standing.live(started)
    book.standing.allow(allowance(space, goal))
    progress.follow(book.standing)
    if book.ended < book.total:
        stopper = _Stop(book, stop)
        spec = {"sweep": sweep.prefix, "rungs": rungs.all}
        _search(space, sweep, spec, book, stopper)
    rows = _ended_rows(book, sweep)
    tally = book.tally
    is_whole = book.ended == book.total and not any(end.get("cut") for end in tally.ends.values())
    ended_by = None if is_whole else book.ended_by
    planned = planned_seconds(space, sweep, book.total)
    cost = beside_planned(_cost(space, tally, rows), planned, tally.spans)
    return Trials(rows, cost, tuple(tally.spans), tally.slots, ended_by)


def allowance(space: Space, goal: Goal) -> Allowance:
    """Give what a sweep may spend since its newest extension with trials."""
    placement = space.job.placement
    return Allowance(
        **space.budget.model_dump(),
        prices=Prices(placement.cpu_hour_price, placement.gpu_hour_price),
        before=Spent(goal.spent_seconds, goal.spent_cpu_seconds, goal.spent_gpu_seconds),
    )


def _search(space: Space, sweep: Sweep, spec: dict[str, Any], book: Book, stopper: _Stop) -> None:
    asha = ReplayedAsha(rungs_of(space)) if space.asha else None
    with connected() as cluster, ray_folder() as scratch:
        slots = slots_for(placement_of(space, sweep, book.total, cluster), cluster)
        reserved = {name: slots.workers * share for name, share in slots.worker.items()}
        book.open_attempt(reserved, slots.count)
        book.progress.located(cluster.dashboard)
        for number in asha.replay(book.tally) if asha else ():
            book.prune(number)
        if book.ended < book.total and not stopper.stop_all():
            channel = Channel(f"{sweep.prefix}/{uuid.uuid4().hex}")
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
        raise RunError(
            f"no trial of sweep {sweep.name} ended: {book.ended_by or 'none was told of'}; raise "
            f"budget, for example by `cifar-dist resume {sweep.name} --max-hours N`"
        )
    return [book.tally.row(number) for number in sorted(book.tally.ends)]


def _cost(space: Space, tally: Tally, rows: list[TrialRow]) -> SweepCost:
    base = space.job.recipe.epochs
    return SweepCost(
        wall_seconds=tally.wall_seconds,
        cpu_seconds=tally.cpu_seconds,
        gpu_seconds=tally.gpu_seconds,
        epochs_run=sum(row.epochs + row.replaced_epochs for row in rows),
        epochs_without_pruning=sum(row.parameters.get("recipe.epochs", base) for row in rows),
        epochs_replaced=sum(row.replaced_epochs for row in rows),
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
