"""One attempt at a run on one rank: it resumes, trains, commits every epoch and evaluates."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from cifar_dist.config import Job, Placement
from cifar_dist.data import Dataset
from cifar_dist.documents import Document, EpochRecord, Evaluation, Score
from cifar_dist.errors import DeviceError
from cifar_dist.learner import HISTORY, STATE, WEIGHTS, Learner, load_weights
from cifar_dist.loop import Tick, epochs, evaluate
from cifar_dist.machine import owned_cpus
from cifar_dist.precision import Arithmetic
from cifar_dist.probe import probe
from cifar_dist.report.evaluation import evaluation
from cifar_dist.runs import BackgroundCommitter, Manifest, Run
from cifar_dist.world import World

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Who follows an attempt and may end it."""

    def observe(self, step: int, total: int, history: Sequence[EpochRecord]) -> None:
        """Take note of where training stands."""

    def stop_requested(self) -> bool:
        """Tell whether to commit and end."""


class Result(Document):
    """What training came to; the same on every rank."""

    state: str
    """finished, interrupted or diverged."""
    history: list[EpochRecord]
    best_epoch: int
    parameters: int
    precision: str
    precision_reason: str
    device: str
    workers: int
    validation: Score | None = None
    test: Evaluation | None = None


def device_for(placement: Placement) -> torch.device:
    """Choose this process's device. Raises DeviceError if GPUs are asked for and unusable."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if placement.gpus_per_worker:
        built = torch.version.cuda or "none"
        raise DeviceError(
            f"placement.gpus_per_worker={placement.gpus_per_worker:g} but no GPU can be used here "
            f"(torch {torch.__version__} built for CUDA {built}, {torch.cuda.device_count()} "
            "devices); check the driver with nvidia-smi, or set it to 0"
        )
    return torch.device("cpu")


def best_epoch(history: Sequence[EpochRecord]) -> int:
    """Give the epoch with the lowest validation loss, or the last one without validation."""
    scored = [record for record in history if record.validation_loss is not None]
    if not scored:
        return len(history)
    return min(scored, key=lambda record: record.validation_loss or 0.0).epoch


class Attempt:
    """One rank's learner bound to its run: resumed on entry, committed as it goes."""

    def __init__(self, job: Job, run: Run, dataset: Dataset, world: World) -> None:
        self._run, self._world, self._dataset = run, world, dataset
        device = device_for(job.placement)
        self.verdict = self._verdict(job, device)
        arithmetic = Arithmetic(self.verdict["name"], device)
        self.learner = Learner(job.recipe, dataset.train, arithmetic, world)
        self._committer = BackgroundCommitter(run) if world.is_chief else None
        self._resume()

    def events(self) -> Iterator[Tick | EpochRecord]:
        """Train to the end; every finished epoch is committed in the background."""
        for event in epochs(self.learner, self._dataset.validation):
            if isinstance(event, EpochRecord) and event.train_loss is not None:
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
            is_best=bool(history) and best_epoch(history) == len(history),
        )

    def wait(self) -> None:
        """Wait until everything handed over is committed."""
        if self._committer is not None:
            self._committer.wait()

    def result(self, state: str) -> Result:
        """Say what training came to, without an evaluation of the test split."""
        history, learner = self.learner.history, self.learner
        best = best_epoch(history)
        device = learner.arithmetic.device
        return Result(
            state=state,
            history=history,
            best_epoch=best,
            parameters=learner.parameters,
            precision=self.verdict["name"],
            precision_reason=self.verdict["reason"],
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            workers=self._world.size,
        )

    def _verdict(self, job: Job, device: torch.device) -> dict[str, Any]:
        verdict = None
        if self._world.is_chief:
            verdict = self._run.recorded("precision")
            if verdict is None:
                found = probe(job.recipe, self._dataset.train, device)
                verdict = self._run.record("precision", found)
        agreed: dict[str, Any] = self._world.agree(verdict)
        return agreed

    def _resume(self) -> None:
        with tempfile.TemporaryDirectory(prefix="cifar-dist-") as name:
            folder = Path(name)
            chosen = self._run.latest_intact(folder) if self._world.is_chief else None
            key = self._world.agree(chosen.key if chosen else None)
            if key is None:
                return
            if not self._world.is_chief:
                self._run.fetch(key, folder)
            self.learner.load(folder)
        if self._world.is_chief:
            log.info("resumed run=%s step=%d", self._run.prefix, self.learner.step)
