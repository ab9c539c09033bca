"""All that changes while training, so all that a checkpoint must hold."""

import copy
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_

from cifar_dist import seeds
from cifar_dist.augment import AUGMENTATIONS, Policy
from cifar_dist.checkpoint import STATE, WEIGHTS, Snapshot, load_state, load_weights
from cifar_dist.config import Component, Recipe
from cifar_dist.data import Images, normalize, permutation, shard
from cifar_dist.device import seed_device
from cifar_dist.documents import EpochRecord
from cifar_dist.errors import ConfigError, DamagedError
from cifar_dist.models import MODELS, SupportsWhitening
from cifar_dist.optim import AVERAGINGS, OPTIMIZERS, SCHEDULES, Pair, factor, scale_lr, set_lr
from cifar_dist.precision import Arithmetic
from cifar_dist.problems import shown
from cifar_dist.registry import Registry
from cifar_dist.world import World, synchronized

REGISTRIES: dict[str, Registry[Any]] = {
    "recipe.model": MODELS,
    "recipe.augmentation": AUGMENTATIONS,
    "recipe.optimizer": OPTIMIZERS,
    "recipe.schedule": SCHEDULES,
    "recipe.averaging": AVERAGINGS,
}
"""Every component of a job by the dotted path that names it."""

_UNFIT = (
    ValueError, TypeError, LookupError, AttributeError, RuntimeError, ArithmeticError, OSError,
)  # fmt: skip
_WHITENED_FROM = 1_000  # images: near a million 2×2 patches for a 12 × 12 covariance


def build_model(component: Component, seed: int) -> nn.Module:
    """Build an architecture with the initial weights of `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive(seed, "weights"))
        return MODELS.build(component.model_dump())


def step_counts(recipe: Recipe, images: int) -> tuple[int, int, int]:
    """Count the steps of an epoch, of the whole run, and of its warm-up."""
    per_epoch = math.ceil(images / recipe.batch_size)
    return per_epoch, recipe.epochs * per_epoch, round(recipe.warmup_epochs * per_epoch)


def compared_losses(recipe: Recipe, history: Sequence[EpochRecord]) -> list[float]:
    """Give the validation losses that a schedule may follow: of the epochs after the warm-up."""
    # During a warm-up losses fall and rise for its own sake.
    settled = history[math.ceil(recipe.warmup_epochs) :]
    return [r.validation_loss for r in settled if r.validation_loss is not None]


class Learner:
    """A model in training: weights, optimizer, position and history, equal on every rank.

    `train` stays resident on the device; random draws are pure functions of the seed and of
    (epoch, image) or, for dropout alone, of (step, rank): no generator state has to be saved.
    `model` is what is evaluated and scored; averaging makes it another one than is `trained`.
    Raises ConfigError if a batch norm would have a single value to normalize.
    """

    def __init__(
        self, recipe: Recipe, train: Images, arithmetic: Arithmetic, world: World | None = None
    ) -> None:
        self.recipe, self.arithmetic, self.world = recipe, arithmetic, world or World()
        device = arithmetic.device
        self.pixels, self.labels = train.pixels.to(device), train.labels.to(device)
        self.trained = self.model = self._prepared(build_model(recipe.model, recipe.seed))
        self.network = arithmetic.network(self.trained)
        if self.world.size > 1:
            self.network = self._shared()
        self.optimizer = OPTIMIZERS.build(recipe.optimizer.model_dump(), self.trained)
        scale_lr(
            self.optimizer,
            self.trained,
            norm_bias=recipe.norm_bias_lr_factor,
            head=recipe.head_lr_factor,
        )
        self._average = AVERAGINGS.build(recipe.averaging.model_dump())
        if self._average is not None:
            self.model = copy.deepcopy(self.trained)
            self._pair = Pair(self.model, self.trained)
        self.schedule = SCHEDULES.build(recipe.schedule.model_dump())
        self._losses: list[float] = []
        self._policy = Policy([component.model_dump() for component in recipe.augmentation])
        self._table: tuple[int, Tensor] | None = None
        counts = step_counts(recipe, len(train))
        self.steps_per_epoch, self.total_steps, self.warmup_steps = counts
        self.step = 0
        self.history: list[EpochRecord] = []
        self.tally = self._empty_tally()
        self.seconds = 0.0

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return len(self.history)

    @property
    def parameters(self) -> int:
        """Numbers in the model, frozen ones included."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def batches(self) -> Iterator[Tensor]:
        """Give what is left of the current epoch, batch by batch, as indices of training images."""
        # Moved at once: a copy for each step would wait for all that the device has queued.
        order = permutation(len(self.labels), self.recipe.seed, self.epoch).to(self.pixels.device)
        done = self.step - self.epoch * self.steps_per_epoch
        yield from torch.split(order, self.recipe.batch_size)[done:]

    def advance(self, batch: Tensor) -> None:
        """Take one optimizer step on a global batch; every rank brings its own part of it."""
        recipe = self.recipe
        set_lr(
            self.optimizer,
            factor(self.schedule, self.step, self.total_steps, self.warmup_steps, self._losses),
        )
        seed_device(
            self.pixels.device, seeds.derive(recipe.seed, "dropout", self.step, self.world.rank)
        )
        self._accumulate(batch)
        if recipe.gradient_clip_norm is not None:
            clip_grad_norm_(self.trained.parameters(), recipe.gradient_clip_norm, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self._average is not None:
            self._average(self._pair, self.step)

    def _accumulate(self, batch: Tensor) -> None:
        """Add up the gradient of a global batch's mean loss, part by part of about one size."""
        *parts, last = torch.tensor_split(batch, self._part_count(len(batch)))
        for part in parts:
            with self._unsynchronized():
                self._backward(part, len(batch))
        self._backward(last, len(batch))

    def _part_count(self, images: int) -> int:
        largest = math.ceil(self.recipe.batch_size / self.recipe.accumulation)
        return math.ceil(images / largest)

    def _backward(self, part: Tensor, count: int) -> None:
        """Add this rank's share of the gradient of `part`, from a batch of `count` images."""
        world = self.world
        mine = shard(part, world.rank, world.size).to(self.pixels.device)
        pixels, targets = self._policy.apply(
            self.pixels, self.labels, mine, self._draws(), self.epoch
        )
        with self.arithmetic.context():
            logits = self.network(normalize(pixels, self.arithmetic.memory_format))
        loss = F.cross_entropy(
            logits.float(), targets, reduction="sum", label_smoothing=self.recipe.label_smoothing
        )
        # DDP averages over ranks: scaled so, uneven shards still give the global batch's mean.
        torch.autograd.backward(loss * (world.size / count))
        self.tally[0] += loss.detach()
        self.tally[1] += _hits(logits.detach().argmax(1), targets).sum()
        self.tally[2] += len(mine)

    def _unsynchronized(self) -> AbstractContextManager[object]:
        if isinstance(self.network, DistributedDataParallel):
            return self.network.no_sync()
        return nullcontext()

    def finish_epoch(self, record: EpochRecord) -> None:
        """Append an epoch to the history and start counting anew."""
        self.history.append(record)
        self._losses = compared_losses(self.recipe, self.history)
        self.tally = self._empty_tally()
        self.seconds = 0.0

    @property
    def lr(self) -> float:
        """Learning rate of the last step, of the first parameter group."""
        return float(self.optimizer.param_groups[0]["lr"])

    def snapshot(self) -> Snapshot:
        """Copy weights, state and history; the copy may be written while training goes on."""
        state = {
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "tally": self.tally,
            "seconds": self.seconds,
        }
        if self._average is not None:
            state["trained"] = self.trained.state_dict()
        return Snapshot.of(self.model, state, self.history)

    def load(self, folder: Path) -> None:
        """Take over what a snapshot wrote; the files must be verified. Raises DamagedError."""
        load_weights(self.model, folder / WEIGHTS)
        try:
            state, history = load_state(folder, self.pixels.device)
            if self._average is not None:
                self.trained.load_state_dict(state["trained"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds = self._checked_step(state["step"]), float(state["seconds"])
            if self.world.is_chief:  # the tally counts what all ranks saw
                self.tally.copy_(state["tally"])
            self.history = history
            self._losses = compared_losses(self.recipe, history)
        except _UNFIT as error:
            reason = str(error).partition("\n")[0]
            raise DamagedError(
                f"{folder / STATE} does not fit this job ({reason}); it was saved by another recipe"
            ) from error

    def _checked_step(self, step: object) -> int:
        if type(step) is not int or not 0 <= step <= self.total_steps:
            raise ValueError(f"its step is {shown(step)} of {self.total_steps}")
        return step

    def _prepared(self, model: nn.Module) -> nn.Module:
        if 1 in self._normalized_together():
            self._check_single_image(model)
        if isinstance(model, SupportsWhitening):
            # Images may come sorted by class: taken evenly, not from the front.
            stride = max(1, len(self.pixels) // _WHITENED_FROM)
            model.whiten(normalize(self.pixels[::stride].cpu()))
        if self.world.size > 1 and self.recipe.batch_norm == "synchronized":
            model = synchronized(model, self.arithmetic.device)
        return self.arithmetic.prepare(model).train()

    def _normalized_together(self) -> set[int]:
        """Give the numbers of images that batch norms of this recipe take statistics of."""
        ranks = self.world.size if self.recipe.batch_norm == "local" else 1
        images, batch_size = len(self.labels), self.recipe.batch_size
        counts: set[int] = set()
        for batch in filter(None, (min(images, batch_size), images % batch_size)):
            share = batch / (self._part_count(batch) * ranks)
            counts |= {math.floor(share), math.ceil(share)}
        return counts

    def _check_single_image(self, model: nn.Module) -> None:
        # Torch's batch norm refuses a single value per channel, if need be in an epoch's last step.
        try:
            copy.deepcopy(model).train()(normalize(self.pixels[:1].cpu()))
        except ValueError as error:
            recipe = self.recipe
            raise ConfigError(
                f"batch_size={recipe.batch_size} and accumulation={recipe.accumulation} leave a "
                f"single one of {len(self.labels)} training images to be normalized by itself, "
                f"which {recipe.model.name} cannot do; choose another batch_size or accumulation"
            ) from error

    def _shared(self) -> nn.Module:
        with warnings.catch_warnings():
            # Its successor `forward_sync_buffers` is not in every torch that we support.
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            network = DistributedDataParallel(self.network, broadcast_buffers=False)
        return self._settled(network)

    def _settled(self, network: nn.Module) -> nn.Module:
        # After a process's first backward pass DDP lays out anew what ranks add up, and the sums
        # of three or more round by their place. A pass that nothing is learned from comes first,
        # so that a resumed training adds as an uninterrupted one.
        with self.arithmetic.context():
            logits = network.eval()(normalize(self.pixels[:1], self.arithmetic.memory_format))
        torch.autograd.backward(logits.sum())
        network.zero_grad(set_to_none=True)
        return network.train()

    def _draws(self) -> Tensor:
        if self._table is None or self._table[0] != self.epoch:
            table = self._policy.table(len(self.labels), self.recipe.seed, self.epoch)
            self._table = (self.epoch, table.to(self.pixels.device))
        return self._table[1]

    def _empty_tally(self) -> Tensor:
        # Loss, correct and count of this rank's images; float64 counts exactly and sums stably.
        return torch.zeros(3, dtype=torch.float64, device=self.pixels.device)


def _hits(predictions: Tensor, targets: Tensor) -> Tensor:
    # Of classes, or of probabilities the share that the predicted class has.
    if targets.dim() == 1:
        return predictions == targets
    return targets.gather(1, predictions[:, None])
