"""Rows of overhead: CPU seconds of an epoch by our trainer ÷ by a bare loop of the same operations.

Both sides compute on one thread, as threads that wait by spinning would count as work.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from cifar_dist.augment import Policy
from cifar_dist.config import Job, Recipe, load_job, patched, recipe_path
from cifar_dist.data import Images, normalize, permutation
from cifar_dist.documents import EpochRecord
from cifar_dist.events import event_files
from cifar_dist.learner import Learner, build_model
from cifar_dist.models import SupportsWhitening
from cifar_dist.optim import OPTIMIZERS
from cifar_dist.precision import Arithmetic
from cifar_dist.runs import Run
from cifar_dist.session import Session
from cifar_dist.store import open_store
from tests.bench.load import cpu_seconds
from tests.bench.ours import CPU, ENDLESS, arithmetic, dataset, training_images
from tests.bench.rounds import Row, Setting, Side

_ROUNDS = 10
_WHITENED = 1_000


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def bare_epochs(recipe: Recipe, images: Images, how: Arithmetic) -> Iterator[nn.Module]:
    """Train as a short script would, with the same operations in the same arithmetic, for ever.

    The rate is constant. Gives the model after each epoch.
    """
    model = build_model(recipe.model, recipe.seed)
    if isinstance(model, SupportsWhitening):
        model.whiten(normalize(images.pixels[:_WHITENED]))
    model = how.prepare(model).train()
    optimizer = OPTIMIZERS.build(recipe.optimizer.model_dump(), model)
    policy = Policy([component.model_dump() for component in recipe.augmentation])
    epoch = 0
    while True:
        losses, hits = torch.zeros(2, dtype=torch.float64).unbind()
        table = policy.table(len(images), recipe.seed, epoch)
        order = permutation(len(images), recipe.seed, epoch)
        for batch in torch.split(order, recipe.batch_size):
            pixels, labels = policy.apply(images.pixels, images.labels, batch, table, epoch)
            with how.context():
                logits = model(normalize(pixels, how.memory_format))
            loss = F.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
            torch.autograd.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
            losses += loss.detach()
            hits += (logits.argmax(1) == labels).sum()
        epoch += 1
        yield model


def session_epochs(job: Job, images: Images, how: Arithmetic, setting: Setting) -> Iterator[None]:
    """Train as `train` does, with a commit to a folder after each epoch; nothing is evaluated."""
    data = replace(dataset(setting), train=images, validation=None)
    with tempfile.TemporaryDirectory(prefix="cifar-dist-bench-") as folder:
        run = Run(open_store(folder), "runs/bench-00000000")
        learner = Learner(job.recipe, images, how)
        session = Session(run, learner, data, event_files(job, {}), 60.0)
        for event in session.events():
            if isinstance(event, EpochRecord):
                session.wait()
                yield


def _sides(name: str) -> Callable[[Setting], tuple[Side, Side]]:
    def sides(setting: Setting) -> tuple[Side, Side]:
        images, shipped = training_images(setting), load_job(recipe_path(name))
        job = patched(shipped, {"recipe.epochs": ENDLESS, "recipe.seed": setting.seed})
        with one_thread():
            how = arithmetic(job.recipe, images, setting, CPU)
        ours = session_epochs(job, images, how, setting)
        theirs = bare_epochs(job.recipe, images, how)
        return lambda: spent_by(ours), lambda: spent_by(theirs)

    return sides


def spent_by(epochs: Iterator[object]) -> float:
    """CPU seconds of this process for one epoch, on one thread of torch."""
    with one_thread():
        before = cpu_seconds()
        next(epochs)
        return cpu_seconds() - before


ROWS = tuple(
    Row(
        name=f"overhead_{name}",
        what=f"CPU seconds of an epoch of {name} with its commit ÷ a bare loop of the same steps",
        unit="CPU s",
        goal="<= 1.03",
        sides=_sides(name),
        higher_is_better=False,
        rounds=_ROUNDS,
    )
    for name in ("lenet5", "speednet")
)
