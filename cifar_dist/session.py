"""One rank's part in a run: it resumes, trains, commits every epoch and evaluates."""

import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from cifar_dist.config import Job, Placement
from cifar_dist.data import Dataset, Images
from cifar_dist.dataset import open_dataset
from cifar_dist.documents import Document, EpochRecord, Evaluation, Score, best_epoch
from cifar_dist.errors import DeviceError, RunError
from cifar_dist.events import EventFiles, event_files
from cifar_dist.learner import WEIGHTS, Learner, load_weights
from cifar_dist.loop import Outcome, Tick, epochs, evaluate
from cifar_dist.machine import owned_cpus
from cifar_dist.precision import Arithmetic
from cifar_dist.probe import probe
from cifar_dist.report.evaluation import evaluation
from cifar_dist.runs import BackgroundCommitter, Run, Sweep
from cifar_dist.runs.run import BEST
from cifar_dist.world import World

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Who follows a session and may end it."""

    def observe(self, step: int, total: int, history: Sequence[EpochRecord]) -> None:
        """Take note of where training stands."""

    def stop_requested(self) -> bool:
        """Tell whether to commit and end."""


class Result(Document):
    """What training came to; the same on every rank."""

    state: Literal["finished", "interrupted", "failed"]
    history: list[EpochRecord]
    best_epoch: int
    parameters: int
    verdict: dict[str, Any]
    """The precision that was probed or set, and why."""
    device: str
    workers: int
    validation: Score | None = None
    test: Evaluation | None = None


def device_for(placement: Placement) -> torch.device:
    """Choose this process's device. Raises DeviceError if GPUs are asked for and unusable."""
    if torch.cuda.is_available() and placement.gpus_per_worker != 0:
        return torch.device("cuda")
    if placement.gpus_per_worker:
        built = torch.version.cuda or "no CUDA"
        raise DeviceError(
            f"placement.gpus_per_worker={placement.gpus_per_worker:g} but no GPU can be used here "
            f"(torch {torch.__version__} is built for CUDA {built} and sees "
            f"{torch.cuda.device_count()} GPUs); check the driver with nvidia-smi, or set it to 0"
        )
    return torch.device("cpu")


def check_device(placement: Placement) -> None:
    """Raise DeviceError if this machine lacks the GPUs asked for; a cluster looks at its own."""
    if "RAY_ADDRESS" not in os.environ:
        device_for(placement)


def recipe_data(job: Job) -> Dataset:
    """Open the images that a job names, split as it says. Raises DataError."""
    recipe = job.recipe
    return open_dataset(
        recipe.data, validation_fraction=recipe.validation_fraction, seed=recipe.seed
    )


def device_name(device: torch.device) -> str:
    """Name a device for a report."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def agreed_precision(shared: Run | Sweep, job: Job, train: Images, world: World) -> dict[str, Any]:
    """Give the one verdict on arithmetic of a run or a whole sweep; the first to need it probes."""
    verdict = None
    if world.is_chief:
        verdict = shared.recorded("precision.json")
        if verdict is None:
            found = probe(job.recipe, train, device_for(job.placement))
            verdict = shared.record("precision.json", found)
    agreed: dict[str, Any] = world.agree(verdict)
    return agreed


class Session:
    """A learner bound to its run: restored on entry, committed as it goes."""

    def __init__(
        self, run: Run, learner: Learner, dataset: Dataset, events: EventFiles | None = None
    ) -> None:
        self.learner, self._run, self._dataset, self._events = learner, run, dataset, events
        self._world = learner.world
        self._committer: BackgroundCommitter | None = None
        if self._world.is_chief:
            self._attempt = run.claim_attempt(world_size=self._world.size)
            self._committer = BackgroundCommitter(run, self._attempt)
        self._restore()

    def events(self) -> Iterator[Tick | EpochRecord]:
        """Train to the end; every finished epoch is committed in the background."""
        for event in epochs(self.learner, self._dataset.validation):
            if isinstance(event, EpochRecord) and event.train_loss is not None:
                self._note(event)
                self.commit()
            yield event

    def commit(self) -> None:
        """Hand the learner's state to the background; raises what an earlier upload ended with."""
        if self._committer is None:
            return
        folder = Path(tempfile.mkdtemp(prefix="cifar-dist-"))
        self.learner.save(folder)
        history = self.learner.history
        self._committer.submit(
            folder,
            step=self.learner.step,
            epoch=len(history),
            metrics=history[-1].model_dump(exclude={"epoch"}) if history else {},
            best=self._stands_at_best(),
        )

    def wait(self) -> None:
        """Wait, on every rank, until all that was handed over is committed."""
        if self._committer is not None:
            self._committer.wait()
        self._world.agree(None)

    def score_best(self) -> tuple[Score | None, Evaluation]:
        """Evaluate the best epoch's committed weights on the validation and the test split."""
        best = best_epoch(self.learner.history)
        if best != self.learner.epoch:
            self._load_best()
        validation = None
        if self._dataset.validation is not None:
            validation = self._outcome(self._dataset.validation).score("validation")
        return validation, test_evaluation(self._outcome(self._dataset.test), self._dataset)

    def _note(self, record: EpochRecord) -> None:
        if self._committer is not None and self._events is not None:
            number = self._attempt.number
            self._committer.note(*self._events.file(number, record, self.learner.model))

    def _outcome(self, images: Images) -> Outcome:
        return evaluate(self.learner.model, images, self._world)

    def _load_best(self) -> None:
        pinned = self._run.best() if self._world.is_chief else None
        key = self._world.agree(pinned.key if pinned else None)
        if key is None:
            raise RunError(f"{self._run.prefix} has no best checkpoint; run it again with --fresh")
        with tempfile.TemporaryDirectory(prefix="cifar-dist-") as folder:
            self._run.download(self._run.manifest(key), Path(folder))
            load_weights(self.learner.model, Path(folder) / WEIGHTS)

    def _restore(self) -> None:
        with tempfile.TemporaryDirectory(prefix="cifar-dist-") as name:
            folder = Path(name)
            chosen = self._run.latest_intact(folder) if self._world.is_chief else None
            key = self._world.agree(chosen.key if chosen else None)
            if key is None:
                return
            if not self._world.is_chief:
                self._run.download(self._run.manifest(key), folder)
            self.learner.load(folder)
        if chosen is not None:
            pinned = self._run.best()
            if self._stands_at_best() and (pinned is None or pinned.key != chosen.key):
                self._run.pin(BEST, chosen)  # a kill came between its commit and its pin
            log.info("resumed run=%s step=%d", self._run.prefix, self.learner.step)

    def _stands_at_best(self) -> bool:
        learner = self.learner
        between_epochs = learner.step == learner.epoch * learner.steps_per_epoch
        return between_epochs and 0 < learner.epoch == best_epoch(learner.history)


def test_evaluation(outcome: Outcome, dataset: Dataset) -> Evaluation:
    """Give the full evaluation of the test split."""
    return evaluation("test", outcome.confusion, outcome.loss, dataset.classes)


def usable_gpus() -> int:
    """Count the GPUs that this process can use."""
    return torch.cuda.device_count()


def train_here(job: Job, run: Run, observer: Observer) -> Result:
    """Train in this process alone, on all CPUs that it owns."""
    torch.set_num_threads(owned_cpus())
    return train_session(job, run, World(), observer)


def train_session(job: Job, run: Run, world: World, observer: Observer) -> Result:
    """Train a run to its end, or until the observer asks to stop; every rank calls this."""
    recipe = job.recipe
    dataset = recipe_data(job)
    verdict = agreed_precision(run, job, dataset.train, world)
    arithmetic = Arithmetic(verdict["name"], device_for(job.placement))
    learner = Learner(recipe, dataset.train, arithmetic, world)
    session = Session(run, learner, dataset, event_files(job, {}))
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
    )
    if state != "finished":
        return result
    validation, test = session.score_best()
    return result.model_copy(update={"validation": validation, "test": test})


def follow(session: Session, observer: Observer) -> Literal["finished", "interrupted", "failed"]:
    """Train a session to its end, or to a commit once the observer asks to stop."""
    learner = session.learner
    for event in session.events():
        if learner.world.is_chief:
            observer.observe(learner.step, learner.total_steps, learner.history)
        if isinstance(event, EpochRecord):
            if event.train_loss is None:
                return "failed"
            continue
        wanted = learner.world.is_chief and observer.stop_requested()
        if learner.world.agree(wanted):
            session.commit()
            return "interrupted"
    return "finished"
