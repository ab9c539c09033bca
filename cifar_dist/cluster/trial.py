"""One trial at a time in a living worker: a trial is a message, not a new process."""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from ray import tune

from cifar_dist.cluster.channel import Channel
from cifar_dist.cluster.failures import deliberate, reason
from cifar_dist.cluster.meters import count_steps
from cifar_dist.cluster.notice import NodeNotice
from cifar_dist.cluster.relay import Relay, without_secrets
from cifar_dist.cluster.trainings import WORST, due, judged, shortened
from cifar_dist.config import Job, parse_job, patched
from cifar_dist.data import Dataset
from cifar_dist.device import device_for
from cifar_dist.documents import EpochRecord
from cifar_dist.errors import StoreError
from cifar_dist.events import event_files
from cifar_dist.learner import Learner
from cifar_dist.loop import Tick
from cifar_dist.precision import Arithmetic, fix_order
from cifar_dist.probe import agreed_precision
from cifar_dist.runs import Sweep
from cifar_dist.session import Session, recipe_data
from cifar_dist.store import open_store
from cifar_dist.world import World

log = logging.getLogger(__name__)


class Trial(tune.Trainable):
    """Ray Tune's handle on a worker; `step` is one epoch, `reset_config` the next trial.

    A trial that cannot go on says so in its result: it never raises, so that its worker lives on.
    """

    @without_secrets()
    def setup(self, config: dict[str, Any], spec: dict[str, Any] | None = None) -> None:
        """Begin the first trial. `spec` is what all trials share."""
        if spec is None:
            raise ValueError("a trial needs the sweep's spec")
        self._spec = spec
        self._base = parse_job(spec["job"])
        self._sweep = Sweep(open_store(self._base.store, self._base.s3), spec["sweep"])
        self._channel = Channel(spec["channel"])
        self._notice: NodeNotice | None = None
        self._relay = Relay(self._channel, "")
        self._relay.open()
        self._flush = count_steps(self._sweep.name)
        self._dataset: Dataset | None = None
        # Its slot was free when it was asked for, however long this process took to start.
        self._free_since = time.monotonic() - max(0.0, time.time() - config["asked_at"])
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in this process."""
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch and say what it came to."""
        try:
            result = self._epoch()
        except torch.AcceleratorError:
            raise  # nothing works on its device any more: this process is lost
        except Exception as error:  # even a bug: it would only come again
            log.warning("trial failed number=%d", self._config["number"], exc_info=True)
            # Storage that is away is no fault of the trial's: the sweep ends, and can be resumed.
            is_away = isinstance(deliberate(error), StoreError)
            result = self._result("interrupted" if is_away else "failed", reason(error))
        self._relay.tell()
        self._free_since = time.monotonic()
        return result

    def cleanup(self) -> None:
        """Let the last checkpoint be committed."""
        if self._session is not None:
            self._session.wait()
        self._flush()
        self._relay.tell()
        self._relay.close()

    def _begin(self, config: dict[str, Any]) -> None:
        # Nothing may hold the trial before: its learner's memory is needed for the next one.
        self._session: Session | None = None
        self._events: Iterator[Tick | EpochRecord] = iter(())
        self._config, self._told = config, 0
        self._training: int | None = None
        self._relay.speaker, self._relay.trial = f"trial {config['number']}", config["number"]
        self._start_seconds: float | None = None

    def _epoch(self) -> dict[str, Any]:
        if self._session is None:
            self._session = self._opened()
            self._events = self._session.events()
            self._note_training(self._session.learner.recipe.epochs)
            if self._is_at_rung(self._session.learner):
                return self._at_rung()  # the driver before may not have heard of it
        for event in self._events:
            if isinstance(event, EpochRecord):
                return self._reported(event, self._session)
            self._note_start()
            self._notice = self._notice or NodeNotice()
            self._session.hurry(self._notice.seconds_left())
            if self._channel.stop_requested():
                self._session.commit()
                self._session.wait()
                return self._result("interrupted", "the sweep was asked to stop")
        return self._result("finished")  # resumed after its last epoch was committed

    def _opened(self) -> Session:
        if self._dataset is None:
            self._dataset = recipe_data(self._base).on(device_for(self._base.placement))
        return open_trial(self._sweep, self._base, self._config, self._dataset, World())

    def _note_training(self, epochs: int) -> None:
        """Keep the length of the training, if the trial is to have several."""
        self._training = epochs if "restarts" in self._config else None

    @property
    def _is_last(self) -> bool:
        """Whether the training is the trial's whole one."""
        if self._training is None:
            return True
        return self._training == patched(self._base, self._config["overrides"]).recipe.epochs

    def _is_at_rung(self, learner: Learner) -> bool:
        if self._training is not None:
            return learner.epoch == self._training and not self._is_last
        return learner.epoch in self._spec["rungs"] and learner.epoch < learner.recipe.epochs

    def _at_rung(self) -> dict[str, Any]:
        result = self._result("running")
        if self._training is not None:
            self._next_training(self._training)
        return result

    def _next_training(self, past: int) -> None:
        """Let the next step begin the training after the one whose end was told."""
        self._config, self._told = {**self._config, "past": past}, 0
        self._session, self._events = None, iter(())

    def _note_start(self) -> None:
        if self._start_seconds is None:
            self._start_seconds = time.monotonic() - self._free_since

    def _reported(self, record: EpochRecord, session: Session) -> dict[str, Any]:
        if record.train_loss is None:
            return self._result("failed", diverged(record))
        last = record.epoch == session.learner.recipe.epochs
        is_at_rung = self._is_at_rung(session.learner)
        if last or is_at_rung:
            session.wait()
        if is_at_rung:
            return self._at_rung()
        return self._result("finished" if last else "running")

    def _history(self) -> Sequence[EpochRecord]:
        return self._session.learner.history if self._session is not None else ()

    def _result(self, state: str, why: str | None = None) -> dict[str, Any]:
        history = self._history()
        untold = [r for r in history[self._told :] if r.train_loss is not None]
        self._told = max(self._told, len(history))
        scored = state in {"running", "finished"} and history
        return {
            "state": state,
            "reason": why,
            "done": state != "running",
            "epoch": max(len(history), 1),
            "training": self._training,
            "validation_accuracy": judged(history, self._training) if scored else WORST,
            "start_seconds": self._start_seconds,
            "records": [record.model_dump(mode="json") for record in untold],
        }


def open_trial(
    sweep: Sweep, base: Job, config: dict[str, Any], dataset: Dataset, world: World
) -> Session:
    """Begin or resume the run of the trial that a config names; every rank calls this."""
    overrides = config["overrides"]
    job = patched(base, overrides)
    run = sweep.trial(config["number"])
    head = {"schema": "cifar-dist/run/1", "job": job.model_dump(mode="json")}
    world.by_chief(lambda: run.ensure(head))
    if "restarts" in config:
        training = world.by_chief(lambda: due(run, job, config))
        job, run = shortened(job, training), sweep.trial(config["number"], training)
    fix_order(job.placement.deterministic)
    verdict = agreed_precision(sweep, base, dataset.train, world)
    arithmetic = Arithmetic(verdict["name"], device_for(job.placement))
    learner = Learner(job.recipe, dataset.train, arithmetic, world)
    seconds = job.placement.checkpoint_seconds
    return Session(run, learner, dataset, event_files(job, overrides), seconds)


def diverged(record: EpochRecord) -> str:
    """Say in which epoch a trial's loss became infinite or not a number."""
    return f"diverged in epoch {record.epoch}: its loss is not finite"
