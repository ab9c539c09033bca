"""Epochs of two ranks one at a time, when asked for, each with the CPU seconds it took."""

import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cifar_dist.config import Job, parse_job
from cifar_dist.documents import EpochRecord
from tests.bench.ray_child import Child, beside_others
from tests.bench.rounds import Absent, Setting

EPOCHS = 24
"""Of the run: ours takes a frame of its film after nearly every epoch of so few."""
RANKS = 2
_POLL_SECONDS = 0.02
_PATIENCE_SECONDS = 600.0


def job(setting: Setting) -> Job:
    """Give the job of all sides: a net without batch norm and dropout, in fp32, plain SGD."""
    recipe = {
        "data": setting.data,
        "seed": setting.seed,
        "model": {"name": "simple_cnn"},
        "augmentation": [{"name": "horizontal_flip"}, {"name": "pad_crop", "padding": 2}],
        "optimizer": {"name": "sgd", "lr": 0.02},
        "schedule": {"name": "constant"},
        "epochs": EPOCHS,
        "batch_size": 128,
        "label_smoothing": 0.0,
        "precision": "fp32",
    }
    # Between two epochs it may stand still for a minute, which is no reason to commit.
    placement = {"workers": RANKS, "cpus_per_worker": 1.0, "checkpoint_seconds": None}
    return parse_job({"name": "epochs", "recipe": recipe, "placement": placement})


class Gate:
    """A rank's side: its epochs begin when they are asked for, and their CPU seconds are told."""

    def __init__(self, folder: str, rank: int) -> None:
        self._folder, self._rank, self._epoch = Path(folder), rank, 0

    def wait(self) -> None:
        """Wait until the next epoch is asked for."""
        self._epoch += 1
        while not (self._folder / f"go-{self._epoch}").exists():
            time.sleep(_POLL_SECONDS)
        self._started = time.process_time()

    def tell(self) -> None:
        """Tell what this process, with all of its threads, has spent since then."""
        spent = time.process_time() - self._started
        file = self._folder / f"spent-{self._epoch}-{self._rank}"
        part = file.with_suffix(".part")
        part.write_text(str(spent))
        part.replace(file)


class Epochs:
    """The asking side: each call gives the CPU seconds of all ranks' next epoch.

    The first call starts the ranks and leaves out an epoch that warms them.
    """

    def __init__(self, entry: str, setting: Setting, launcher: Sequence[str] = ()) -> None:
        self._entry, self._launcher = entry, launcher
        self._given = {"job": job(setting).model_dump(mode="json")}
        self._child: Child | None = None
        self._epoch = 0

    def __call__(self) -> float:
        """Have one epoch trained; raises Absent after the run's last."""
        if self._child is None:
            self._child = Child(self._entry, self._given, self._launcher)
            weakref.finalize(self, self._child.end)
            self._next(self._child)
        return self._next(self._child)

    def _next(self, child: Child) -> float:
        if self._epoch == EPOCHS:
            raise Absent(f"a run has {EPOCHS} epochs; ask for fewer rounds.")
        self._epoch += 1
        (child.folder / f"go-{self._epoch}").touch()
        files = [child.folder / f"spent-{self._epoch}-{rank}" for rank in range(RANKS)]
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not all(file.exists() for file in files):
            if not child.is_alive or time.monotonic() > deadline:
                child.tree.end()
                child.check()
                raise RuntimeError("the ranks ended early")
            time.sleep(_POLL_SECONDS)
        return sum(float(file.read_text()) for file in files)


def under_ray(given: dict[str, Any]) -> None:
    """Train by `train --workers 2`: the driver's side, whose workers wait at the gate."""
    import cifar_dist.cluster.train as door  # settles what Ray reads, before it is imported

    beside_others()
    from threading import Event

    from cifar_dist.outcome import start_run
    from cifar_dist.session import recipe_data
    from cifar_dist.store import open_store
    from tests.watchers import Watcher

    asked = _stored(given)
    facts = recipe_data(asked).facts()
    run = start_run(open_store(asked.store), asked, facts, again=False, resume=False)
    worker, folder = door._work, given["folder"]

    def work(config: dict[str, Any]) -> dict[str, Any]:
        gated(Gate(folder, door.this_world().rank))
        return worker(config)

    door._work = work
    door.train(asked, run, Watcher(), Event())


def without_ray(given: dict[str, Any]) -> None:
    """Train by the same session on ranks that torchrun started."""
    import torch
    import torch.distributed as dist

    from cifar_dist.outcome import start_run
    from cifar_dist.runs import Run
    from cifar_dist.session import recipe_data, train_session
    from cifar_dist.store import open_store
    from cifar_dist.world import World
    from tests.watchers import Watcher

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    asked, world = _stored(given), World(dist.get_rank(), dist.get_world_size())
    store, facts = open_store(asked.store), recipe_data(asked).facts()

    def begin() -> str:
        return start_run(store, asked, facts, again=False, resume=False).prefix

    run = Run(store, world.by_chief(begin))
    gated(Gate(given["folder"], world.rank))
    train_session(asked, run, world, Watcher())


def gated(gate: Gate) -> None:
    """Let every session of this process wait at a gate before each of its epochs."""
    import cifar_dist.session as door

    class Gated(door.Session):
        """Tells after an epoch's record was taken in, so that all of its cost is in it."""

        def events(self) -> Iterator[Any]:
            """Train to the end."""
            gate.wait()
            for event in super().events():
                yield event
                if isinstance(event, EpochRecord):
                    gate.tell()
                    gate.wait()

    door.Session = Gated  # type: ignore[misc]


def _stored(given: dict[str, Any]) -> Job:
    return parse_job(given["job"] | {"store": f"{given['folder']}/store"})
