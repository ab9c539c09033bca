"""One trial at a time in a living worker: a trial is a message, not a new process."""

import time
from typing import Any

from ray import tune

from cifar_dist.cluster.channel import Channel
from cifar_dist.config import Job, parse_job, patched
from cifar_dist.documents import EpochRecord
from cifar_dist.errors import CifarDistError
from cifar_dist.learner import Learner
from cifar_dist.loop import Tick
from cifar_dist.precision import Arithmetic
from cifar_dist.runs import Sweep
from cifar_dist.session import Session, agreed_precision, device_for, recipe_data
from cifar_dist.store import open_store
from cifar_dist.world import World

WORST = 0.0
"""The accuracy of a trial that has none: finite, as ASHA never stops what is not a number."""


class Trial(tune.Trainable):
    """Ray Tune's handle on a worker; `step` is one epoch, `reset_config` the next trial.

    A trial that cannot go on says so in its result: it never raises, so that its worker lives on.
    """

    def setup(self, config: dict[str, Any], spec: dict[str, Any] | None = None) -> None:
        """Load the images once and begin the first trial. `spec` is what all trials share."""
        if spec is None:
            raise ValueError("a trial needs the sweep's spec")
        self._spec = spec
        base = parse_job(spec["job"])
        self._sweep = Sweep(open_store(base.store), spec["sweep"])
        self._dataset = recipe_data(base)
        self._channel = Channel(spec["sweep"])
        self._base = base
        # Its slot was free since the sweep began, however long this process took to start.
        self._free_since = time.monotonic() - max(0.0, time.time() - spec["started_at"])
        self._begin(config["number"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in this process."""
        self._begin(new_config["number"])
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch and say what it came to."""
        try:
            result = self._epoch()
        except CifarDistError as error:
            result = self._ended("failed", str(error))
        self._free_since = time.monotonic()
        return result

    def cleanup(self) -> None:
        """Let the last checkpoint be committed."""
        if self._session is not None:
            self._session.wait()

    def _begin(self, number: int) -> None:
        self._number = number
        self._session: Session | None = None
        self._start_seconds: float | None = None
        self._job: Job | None = None

    def _epoch(self) -> dict[str, Any]:
        if self._session is None:
            self._session = self._opened()
            self._events = self._session.events()
        for event in self._events:
            if isinstance(event, EpochRecord):
                return self._reported(event)
            self._note(event)
            if self._channel.stop_requested():
                self._session.commit()
                self._session.wait()
                return self._ended("interrupted", "the sweep was asked to stop")
        return self._ended("finished", None)

    def _opened(self) -> Session:
        job = patched(self._base, self._spec["overrides"][self._number])
        self._job = job
        run = self._sweep.trial(self._number)
        if not run.exists:
            run.create({"schema": "cifar-dist/run/1", "job": job.model_dump(mode="json")})
        world = World()
        verdict = agreed_precision(self._sweep, self._base, self._dataset.train, world)
        arithmetic = Arithmetic(verdict["name"], device_for(job.placement))
        learner = Learner(job.recipe, self._dataset.train, arithmetic, world)
        return Session(run, learner, self._dataset)

    def _note(self, event: Tick) -> None:
        if self._start_seconds is None:
            self._start_seconds = time.monotonic() - self._free_since

    def _reported(self, record: EpochRecord) -> dict[str, Any]:
        if record.train_loss is None:
            return self._ended(
                "failed", f"diverged in epoch {record.epoch}: its loss is not finite"
            )
        last = self._job is not None and record.epoch == self._job.recipe.epochs
        if self._session is not None and (last or record.epoch in self._spec["rungs"]):
            self._session.wait()
        return {
            "state": "finished" if last else "running",
            "reason": None,
            "done": last,
            "epoch": record.epoch,
            "validation_accuracy": record.validation_accuracy or WORST,
            "start_seconds": self._start_seconds,
            "record": record.model_dump_json(),
        }

    def _ended(self, state: str, reason: str | None) -> dict[str, Any]:
        epoch = self._session.learner.epoch if self._session is not None else 0
        return {
            "state": state,
            "reason": reason,
            "done": True,
            "epoch": max(epoch, 1),
            "validation_accuracy": WORST,
            "start_seconds": self._start_seconds,
            "record": None,
        }
