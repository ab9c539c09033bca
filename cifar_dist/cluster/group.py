"""Trials on several workers: Tune talks to a small actor that leads a warm group of Ray Train."""

import os
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import wait
from typing import Any

from ray.exceptions import RayActorError
from ray.train import WorkerGroupError

from cifar_dist.cluster.channel import Channel
from cifar_dist.cluster.driver import ray_folder
from cifar_dist.cluster.meters import count_steps
from cifar_dist.cluster.notice import group_seconds_left
from cifar_dist.cluster.relay import relayed
from cifar_dist.cluster.train import this_world, trainer
from cifar_dist.cluster.trial import Trial, diverged, open_trial
from cifar_dist.config import Placement, parse_job
from cifar_dist.counts import COUNTS
from cifar_dist.daemon import begun
from cifar_dist.device import device_for
from cifar_dist.documents import EpochRecord
from cifar_dist.runs import Sweep
from cifar_dist.session import follow, recipe_data
from cifar_dist.store import open_store

LEADER: dict[str, float] = {"memory": 1.0}
"""What the actor reserves: one byte, as any share of a CPU would be one that a worker lacks."""

_POLL_SECONDS = 0.1
_TURN_SECONDS = 0.02
_END_SECONDS = 60.0  # a tick, a commit and Ray's own farewell take two


class GroupTrial(Trial):
    """Tune's handle on a group of workers, which is kept from trial to trial like a lone worker.

    A class, as Tune kills a function where ASHA stops it, and its workers with it: here they are
    given the next trial, commit what they have of this one, and go on in the same processes.
    """

    _group: "_Group | None" = None

    def cleanup(self) -> None:
        """Let the workers commit and end."""
        if self._group is not None:
            self._group.end()
            self._group = None

    def _begin(self, config: dict[str, Any]) -> None:
        super()._begin(config)
        self._seen: list[EpochRecord] = []
        self._losses = 0
        if self._group is not None:
            self._group.turn += 1

    def _epoch(self) -> dict[str, Any]:
        while True:
            try:
                return self._followed()
            except Exception as error:
                self.cleanup()  # a group that raised is of no more use
                is_loss = isinstance(error, WorkerGroupError | RayActorError)
                if not is_loss or self._losses == self._base.placement.max_failures:
                    raise
                self._losses += 1
                COUNTS.add("restarts")

    def _followed(self) -> dict[str, Any]:
        if self._group is None:
            self._group = _Group(self._spec)
        group, stop = self._group, False
        group.command(self._config, self._told + 1, stop=stop)
        while True:
            if group.has_ended():
                raise RuntimeError("the workers ended before their trial did")
            if not stop and self._channel.stop_requested():
                stop = True
                group.command(self._config, self._told + 1, stop=stop)
            if (told := group.told()) is None:
                continue
            self._note_start()
            self._seen = [EpochRecord.model_validate(record) for record in told["history"]]
            self._note_training(told["training"])
            if told["state"] == "finished" and not self._is_last:
                return self._at_rung()
            if told["state"] != "running" or len(self._seen) > self._told:
                return self._result(told["state"], self._why(told["state"]))

    def _next_training(self, past: int) -> None:
        super()._next_training(past)
        self._seen = []
        if self._group is not None:
            self._group.turn += 1

    def _why(self, state: str) -> str | None:
        if state == "failed":
            return diverged(self._seen[-1])
        return "the sweep was asked to stop" if state == "interrupted" else None

    def _history(self) -> Sequence[EpochRecord]:
        return self._seen


class _Group:
    """The leader's side of its workers, from their start to their end."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.turn = 1
        """Counts the trials they were given."""
        self._channel = Channel(f"{spec['channel']}/{uuid.uuid4().hex}")
        self._scratch = ray_folder()
        # The leader itself restarts a group, as each trial may lose workers anew.
        placement = Placement.model_validate({**spec["placement"], "max_failures": 0})
        work = {"spec": spec, "channel": self._channel.name}
        self._fitted = begun(trainer(_work, work, placement, self._scratch.name).fit)

    def command(self, config: dict[str, Any] | None, epochs: int, *, stop: bool) -> None:
        """Tell which trial to train, and up to which epoch; without one, to end."""
        order = {"turn": self.turn, "config": config, "epochs": epochs, "stop": stop}
        while not self._channel.order(order):
            time.sleep(_POLL_SECONDS)

    def has_ended(self) -> bool:
        """Wait a moment for the workers' end; raises what ended them."""
        if not wait([self._fitted], timeout=_POLL_SECONDS).done:
            return False
        self._fitted.result()
        return True

    def told(self) -> dict[str, Any] | None:
        """Give what the workers tell of this turn's trial, once they took a step."""
        told = self._channel.progress()
        return told if told and told["turn"] == self.turn else None

    def end(self) -> None:
        """Let the workers commit, and wait until they are gone."""
        self.turn += 1
        self.command(None, 0, stop=True)
        if not wait([self._fitted], timeout=_END_SECONDS).done:
            os._exit(1)  # Ray ends what this process owns; Tune goes on with another
        self._channel.close()
        self._scratch.cleanup()


class _Chief:
    """The chief worker's side: an epoch begins when Tune has heard of those before.

    So a trial that ASHA stops has trained the epochs of its row and no more.
    """

    def __init__(self, channel: Channel, rungs: Collection[int]) -> None:
        self._channel, self._rungs = channel, rungs
        self._turn = self._settled = 0
        self.settle: Callable[[], None] = _nothing
        """Waits until what was handed over is committed."""
        self.training = 0
        """Epochs of what is trained now."""
        self._newest = {"turn": 0, "epochs": 0, "stop": True}
        self.seconds_left = group_seconds_left

    def next_config(self) -> dict[str, Any] | None:
        """Wait for the next trial; None is the end."""
        while (order := self._order())["turn"] == self._turn:
            time.sleep(_TURN_SECONDS)
        self._turn, self._settled = order["turn"], 0
        config: dict[str, Any] | None = order["config"]
        return config

    def observe(self, step: int, total: int, history: Sequence[EpochRecord]) -> None:
        """Tell the leader, and wait until the next epoch may begin or is not wanted any more."""
        if step == total or (history and history[-1].train_loss is None):
            return  # the trial's end is told when it is committed
        if len(history) in self._rungs and self._settled != len(history):
            self.settle()  # ASHA may end it here, and its best epoch must be there then
            self._settled = len(history)
        told = self.tell("running", history)
        while self._order()["epochs"] <= len(history) and not self.stop_requested():
            time.sleep(_TURN_SECONDS)
            told = told or self.tell("running", history)

    def stop_requested(self) -> bool:
        """Tell whether to commit and end this trial: asked to, or given another."""
        order = self._order()
        return bool(order["stop"]) or order["turn"] != self._turn

    def tell(self, state: str, history: Sequence[EpochRecord]) -> bool:
        """Tell how this trial stands; gives whether that was written."""
        records = [record.model_dump(mode="json") for record in history]
        told = {"turn": self._turn, "state": state, "training": self.training, "history": records}
        return self._channel.publish(told)

    def _order(self) -> dict[str, Any]:
        self._newest = self._channel.ordered() or self._newest
        return self._newest


def _nothing() -> None:
    """Wait for nothing."""


def _work(given: dict[str, Any]) -> dict[str, Any]:
    world, chief = this_world(), _Chief(Channel(given["channel"]), given["spec"]["rungs"])
    with relayed(Channel(given["spec"]["channel"]), f"worker {world.rank}") as relay:
        base = parse_job(given["spec"]["job"])
        sweep = Sweep(open_store(base.store, base.s3), given["spec"]["sweep"])
        flush = count_steps(sweep.name)
        dataset = world.together(lambda: recipe_data(base)).on(device_for(base.placement))
        while config := world.by_chief(chief.next_config):
            relay.speaker = f"trial {config['number']}, worker {world.rank}"
            relay.trial = config["number"]
            session = open_trial(sweep, base, config, dataset, world)
            chief.settle, chief.training = session.settle, session.learner.recipe.epochs
            state = follow(session, chief)
            session.wait()
            while world.is_chief and not chief.tell(state, session.learner.history):
                time.sleep(_TURN_SECONDS)
            chief.settle = _nothing
            del session  # its memory is needed for the next one
        flush()
    return {}
