"""Rows of two processes with a thread each: sharing one training ÷ each training on its own."""

import multiprocessing
import tempfile
import weakref
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal

import torch
import torch.distributed as dist

from cifar_dist.config import Recipe, load_job, patched, recipe_path
from cifar_dist.precision import Arithmetic
from cifar_dist.world import World
from tests.bench.ours import CPU, ENDLESS, arithmetic, training, training_images
from tests.bench.overhead import one_thread
from tests.bench.rounds import Row, Setting, Side

# Torch is imported once, by the server that both are forked from.
multiprocessing.set_forkserver_preload(["cifar_dist.session", "torch._dynamo"])

_RANKS = 2
_BATCH = 125  # images of one rank
_END_SECONDS = 20.0
_NARROW = {"recipe.model.widths": [8, 8, 8]}
Norms = Literal["synchronized", "local"]
_Given = tuple[Setting, Norms, str]


def _recipe(setting: Setting, norms: Norms, ranks: int) -> Recipe:
    fields = {
        "recipe.data": setting.data,
        "recipe.seed": setting.seed,
        "recipe.epochs": ENDLESS,
        "recipe.batch_size": ranks * _BATCH,
        "recipe.batch_norm": norms,
    }
    shipped = load_job(recipe_path("speednet"))
    return patched(shipped, fields | (_NARROW if setting.smoke else {})).recipe


class _Pair:
    """Two processes that train together or apart, whichever they are asked to."""

    def __init__(self, setting: Setting, norms: Norms) -> None:
        with one_thread():
            apart = _recipe(setting, norms, 1)
            precision = arithmetic(apart, training_images(setting), setting, CPU).name
        folder = tempfile.TemporaryDirectory(prefix="cifar-dist-bench-")
        context = multiprocessing.get_context("forkserver")
        self._pipes: list[Connection] = []
        ranks: list[BaseProcess] = []
        for rank in range(_RANKS):
            mine, other = context.Pipe()
            given = (World(rank, _RANKS), folder.name, (setting, norms, precision), other)
            ranks.append(context.Process(target=_rank, args=given, daemon=True))
            self._pipes.append(mine)
            ranks[-1].start()
            other.close()
        self._end = weakref.finalize(self, _ended, self._pipes, ranks, folder)

    def images_per_second(self, kind: str) -> float:
        """Let both train for the setting's seconds; gives the sum of their rates."""
        for pipe in self._pipes:
            pipe.send(kind)
        return float(sum(pipe.recv() for pipe in self._pipes))


def _ended(
    pipes: Sequence[Connection],
    ranks: Sequence[BaseProcess],
    folder: tempfile.TemporaryDirectory[str],
) -> None:
    for pipe, rank in zip(pipes, ranks, strict=True):
        if rank.is_alive():
            pipe.send(None)
    for rank in ranks:
        rank.join(_END_SECONDS)
        rank.kill()
    folder.cleanup()


def _rank(world: World, folder: str, given: _Given, pipe: Connection) -> None:
    setting, norms, precision = given
    torch.set_num_threads(1)
    meeting = Path(folder, "meeting").as_uri()
    dist.init_process_group("gloo", init_method=meeting, rank=world.rank, world_size=world.size)
    images, how = training_images(setting), Arithmetic(precision, CPU)
    trainings = {
        "together": training(_recipe(setting, norms, world.size), images, how, world),
        "apart": training(_recipe(setting, norms, 1), images, how),
    }
    while kind := pipe.recv():
        asked = trainings[kind]
        dist.barrier()
        pipe.send(asked.images_per_second(setting.seconds) / asked.learner.world.size)
    dist.destroy_process_group()


def _sides(norms: Norms) -> Callable[[Setting], tuple[Side, Side]]:
    def sides(setting: Setting) -> tuple[Side, Side]:
        pair = _Pair(setting, norms)
        return (
            lambda: pair.images_per_second("together"),
            lambda: pair.images_per_second("apart"),
        )

    return sides


ROWS = tuple(
    Row(
        name=f"ddp_{norms}",
        what=f"speednet shared by 2 processes of 1 thread, {norms} batch norm ÷ both on their own",
        unit="images/s",
        goal=">= 0.85",
        sides=_sides(norms),
    )
    for norms in ("synchronized", "local")
)
