"""One rank's part in a run: it resumes, trains, commits every epoch and evaluates."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import nn

from cifar_dist.checkpoint import WEIGHTS, load_weights
from cifar_dist.config import Job
from cifar_dist.data import Dataset
from cifar_dist.dataset import open_dataset
from cifar_dist.device import device_for, device_name
from cifar_dist.documents import Document, EpochRecord, Evaluation, StorageCost, best_epoch
from cifar_dist.errors import CifarDistError, DamagedError, RunError
from cifar_dist.events import event_files
from cifar_dist.film import Camera
from cifar_dist.learner import Learner
from cifar_dist.loop import Tick, epochs
from cifar_dist.machine import owned_cpus
from cifar_dist.precision import Arithmetic, fix_order
from cifar_dist.probe import agreed_precision
from cifar_dist.runs import BackgroundCommitter, Manifest, Run
from cifar_dist.runs.committer import Note
from cifar_dist.runs.run import BEST
from cifar_dist.scoring import Asked, Scores, score
from cifar_dist.store.disk import scratch
from cifar_dist.world import World

State = Literal["finished", "interrupted", "failed"]
Notes = Callable[[int, EpochRecord, nn.Module], Note | None]
"""What is told of an attempt's epoch and its model, if anything."""
log = logging.getLogger(__name__)
_LAST_MINUTES_SHARE = 4  # commits in what is left of a machine's time
_SHORTEST_SECONDS = 1.0


class Observer(Protocol):
    """Who follows a session and may end it."""

    def observe(self, step: int, total: int, history: Sequence[EpochRecord]) -> None:
        """Take note of where training stands."""

    def stop_requested(self) -> bool:
        """Tell whether to commit and end; only the chief is asked."""

    def seconds_left(self) -> float | None:
        """Tell when this machine is taken away, if that is known; every rank asks at every tick."""


class Result(Document):
    """What training came to; the same on every rank."""

    state: State
    history: list[EpochRecord]
    best_epoch: int
    parameters: int
    verdict: dict[str, Any]
    """The precision that was probed or set, and why."""
    device: str
    workers: int
    validation: Evaluation | None = None
    test: Evaluation | None = None
    storage: StorageCost | None = None


def recipe_data(job: Job) -> Dataset:
    """Open the images that a job names, split as it says. Raises DataError."""
    recipe = job.recipe
    return open_dataset(
        recipe.data,
        validation_fraction=recipe.validation_fraction,
        seed=recipe.seed,
        s3=job.s3,
    )


class Session:
    """A learner bound to its run: restored on entry, committed as it goes; every rank has one.

    `notes` are told after each epoch. `checkpoint_seconds` is the time between two commits inside
    an epoch; None: none inside.
    """

    def __init__(
        self,
        run: Run,
        learner: Learner,
        dataset: Dataset,
        notes: Sequence[Notes] = (),
        checkpoint_seconds: float | None = None,
    ) -> None:
        self.learner, self._run, self._dataset, self._notes = learner, run, dataset, notes
        self._checkpoint_seconds, self._world = checkpoint_seconds, learner.world
        self._committer: BackgroundCommitter | None = None
        self._handed, self._handed_at = (learner.step, learner.epoch), time.monotonic()
        self._is_leaving = False
        self._waited_seconds = 0.0
        with scratch() as folder:
            self._restore(folder)

    def events(self) -> Iterator[Tick | EpochRecord]:
        """Train to the end; what is due is committed in the background."""
        for event in epochs(self.learner, self._dataset.validation):
            if isinstance(event, Tick):
                self._commit_after(self._checkpoint_seconds)
            elif event.train_loss is not None:
                self._note(event)
                self.commit()
            yield event

    def hurry(self, seconds_left: float | None) -> None:
        """Commit at the first notice that this machine is taken away, then ever more often.

        At a tick; training goes on, as what is left of the time may be long.
        """
        if seconds_left is not None:
            pause = max(_SHORTEST_SECONDS, seconds_left / _LAST_MINUTES_SHARE)
            self._commit_after(pause if self._is_leaving else 0.0)
            self._is_leaving = True

    def commit(self) -> None:
        """Hand the learner's state to the background; raises what an earlier upload ended with."""
        learner, history = self.learner, self.learner.history
        if self._committer is None or self._handed == (learner.step, learner.epoch):
            return
        started = time.monotonic()
        self._committer.submit(
            learner.snapshot(),
            step=learner.step,
            epoch=learner.epoch,
            metrics=history[-1].model_dump(exclude={"epoch"}) if history else {},
            best=self._stands_at_best(),
        )
        self._handed, self._handed_at = (learner.step, learner.epoch), time.monotonic()
        self._waited_seconds += self._handed_at - started

    def wait(self) -> None:
        """Wait, on every rank, until all that was handed over is committed."""
        started = time.monotonic()
        self._world.by_chief(lambda: self._committer and self._committer.wait())
        self._waited_seconds += time.monotonic() - started

    def settle(self) -> None:
        """Let this rank's uploads end, well or badly, before an error ends its process."""
        if self._committer is not None:
            with suppress(CifarDistError):
                self._committer.wait()

    def cost(self) -> StorageCost:
        """Give what storage took so far, on every rank the chief's."""
        committer = self._committer
        mine = committer and committer.cost(self._waited_seconds)
        agreed: StorageCost = self._world.agree(mine)
        return agreed

    def score_best(self, with_test: bool) -> Scores:
        """Evaluate the best epoch's committed weights, and keep that unless fenced."""
        if best_epoch(self.learner.history) != self.learner.epoch:
            self._load_best()
        learner = self.learner
        # Only the chief has an attempt, and it alone keeps anything.
        asked = Asked(learner.recipe.seed, with_test, lambda: self._attempt.check_fence())
        return score(self._run, learner.model, self._dataset, asked, self._world)

    def _note(self, record: EpochRecord) -> None:
        if self._committer is None:
            return
        for note in self._notes:
            made = note(self._attempt.number, record, self.learner.model)
            if made is not None:
                self._committer.note(*made)

    def _commit_after(self, seconds: float | None) -> None:
        """Commit at a tick, by the chief's clock alone, if the last one is so long ago."""
        learner = self.learner
        # An epoch's last step is committed with the epoch's record, under the same key.
        is_last = learner.step == (learner.epoch + 1) * learner.steps_per_epoch
        is_due = seconds is not None and time.monotonic() - self._handed_at >= seconds
        if is_due and not is_last:
            self.commit()

    def _load_best(self) -> None:
        best = self._world.by_chief(self._run.best)
        if best is None or best.epoch != best_epoch(self.learner.history):
            raise RunError(f"{self._run.prefix} lost its best checkpoint; run again with --fresh")
        with scratch() as folder:
            self._world.together(lambda: self._run.download(best, folder))
            load_weights(self.learner.model, folder / WEIGHTS)

    def _restore(self, folder: Path) -> None:
        """Load, on every rank, the very bytes that the chief chose; their hashes are agreed."""
        chosen = self._world.by_chief(lambda: self._begun(folder))
        if chosen is None:
            return

        def fetch() -> None:
            if not self._world.is_chief:
                self._run.download(chosen, folder)

        self._world.together(fetch)
        self.learner.load(folder)
        self._handed = (self.learner.step, self.learner.epoch)
        self._world.by_chief(lambda: self._mend_pin(chosen))
        log.info("resumed run=%s step=%d", self._run.prefix, self.learner.step)

    def _begun(self, folder: Path) -> Manifest | None:
        self._attempt = self._run.claim_attempt(world_size=self._world.size)
        self._committer = BackgroundCommitter(self._run, self._attempt)
        if self._attempt.base is not None:
            self._committer.restored = self._run.latest_intact(folder)
        return self._committer.restored

    def _mend_pin(self, chosen: Manifest) -> None:
        # A kill came between its commit and its pin, or what was pinned is damaged.
        pinned = None
        with suppress(DamagedError):
            pinned = self._run.pinned_key(BEST)
        if self._stands_at_best() and pinned != chosen.key:
            self._run.pin(BEST, chosen)

    def _stands_at_best(self) -> bool:
        learner = self.learner
        between_epochs = learner.step == learner.epoch * learner.steps_per_epoch
        return between_epochs and 0 < learner.epoch == best_epoch(learner.history)


def train_here(job: Job, run: Run, observer: Observer) -> Result:
    """Train in this process alone, on all CPUs that it owns."""
    torch.set_num_threads(owned_cpus())
    return train_session(job, run, World(), observer)


def train_session(job: Job, run: Run, world: World, observer: Observer) -> Result:
    """Train a run to its end, or until the observer asks to stop; every rank calls this."""
    fix_order(job.placement.deterministic)
    dataset = world.together(lambda: recipe_data(job))
    verdict = agreed_precision(run, job, dataset.train, world)
    arithmetic = Arithmetic(verdict["name"], device_for(job.placement))
    learner = Learner(job.recipe, dataset.train, arithmetic, world)
    seconds = job.placement.checkpoint_seconds
    camera = Camera(dataset, job.recipe.seed, job.recipe.epochs)
    notes = [camera.frame, *event_files(job, {})]
    session = Session(run, learner, dataset, notes, seconds)
    state = follow(session, observer)
    session.wait()
    result = Result(
        state=state,
        history=learner.history,
        best_epoch=best_epoch(learner.history),
        parameters=learner.parameters,
        verdict=verdict,
        device=device_name(arithmetic.device),
        workers=world.size,
        storage=session.cost(),
    )
    if state != "finished":
        return result
    return result.model_copy(update=session.score_best(job.test)._asdict())


def follow(session: Session, observer: Observer) -> State:
    """Train a session to its end, or to a commit once the observer asks to stop."""
    try:
        return _followed(session, observer)
    except Exception:
        session.settle()
        raise


def _followed(session: Session, observer: Observer) -> State:
    learner = session.learner

    def observe() -> None:
        observer.observe(learner.step, learner.total_steps, learner.history)

    # Between epochs a driver may have to wait for its own storage before it lets us go on.
    if 0 < learner.epoch < learner.recipe.epochs:
        learner.world.by_chief(observe)
    for event in session.events():
        if isinstance(event, EpochRecord):
            learner.world.by_chief(observe)
            if event.train_loss is None:
                return "failed"
            continue
        if learner.world.is_chief:
            observe()
        session.hurry(observer.seconds_left())
        wanted = learner.world.is_chief and observer.stop_requested()
        if learner.world.agree(wanted):
            session.commit()
            return "interrupted"
    return "finished"
