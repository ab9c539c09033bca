"""The loop: training as a stream of events, and exact evaluation; it knows torch only."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cifar_dist.counts import COUNTS
from cifar_dist.data import Images, normalize
from cifar_dist.documents import EpochRecord, Score, Split
from cifar_dist.evidence import Predictions
from cifar_dist.learner import Learner
from cifar_dist.world import World

_TICK_SECONDS = 1.0
_EVALUATION_BATCH = {"cpu": 250, "cuda": 2_000}  # images; the CPU's fits its cache


@dataclass(frozen=True)
class Tick:
    """The learner stands between two steps, consistent and saveable; same step on every rank."""

    step: int


@dataclass(frozen=True)
class Outcome:
    """Exact sums over one split: the confusion matrix (rows are true classes) and the loss."""

    confusion: list[list[int]]
    loss_sum: float

    def score(self, split: Split) -> Score:
        """Divide once."""
        images = sum(map(sum, self.confusion))
        correct = sum(row[index] for index, row in enumerate(self.confusion))
        return Score(
            split=split,
            images=images,
            correct=correct,
            accuracy=correct / images,
            loss=self.loss if math.isfinite(self.loss) else None,
        )

    @property
    def loss(self) -> float:
        """Mean plain cross-entropy."""
        return self.loss_sum / sum(map(sum, self.confusion))


def epochs(learner: Learner, validation: Images | None) -> Iterator[Tick | EpochRecord]:
    """Train to the end: a Tick at the first step and about once a second, a record per epoch.

    Time that the caller spends between events is not counted. A record whose `train_loss` is
    null is the last one: training diverged. Every rank must consume the same events.
    """
    counted = learner.step
    while learner.epoch < learner.recipe.epochs:
        for tick in _steps(learner):
            counted = _counted(learner, counted)
            yield tick
        counted = _counted(learner, counted)
        record = _record(learner, validation)
        learner.finish_epoch(record)
        if record.train_loss is None and learner.world.is_chief:
            COUNTS.add("diverged")
        yield record
        if record.train_loss is None:
            return


def evaluate(model: nn.Module, images: Images, world: World) -> Outcome:
    """Evaluate in fp32, each image once whatever the number of ranks; sums are added, then divided.

    The model is left in evaluation mode; its buffers must be equal on every rank.
    """
    device = next(model.parameters()).device
    sums = torch.zeros(101, dtype=torch.float64, device=device)
    model.eval()
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        mine = torch.arange(world.rank, len(images), world.size)
        for chunk in torch.split(mine, _EVALUATION_BATCH[device.type]):
            labels = images.labels[chunk].to(device)
            logits = model(normalize(images.pixels[chunk].to(device))).float()
            sums[100] += F.cross_entropy(logits, labels, reduction="sum")
            sums[:100] += torch.bincount(labels * 10 + logits.argmax(1), minlength=100)
    world.add(sums)
    counts = sums[:100].view(10, 10).long().tolist()
    return Outcome(counts, float(sums[100]))


def predict(model: nn.Module, images: Images, split: Split, world: World) -> Predictions:
    """Predict every image of a split in fp32; all ranks get the same, whatever their number.

    As in `evaluate`; batches are shared out whole, as an image's last digits depend on its batch.
    """
    device = next(model.parameters()).device
    logits = torch.zeros(len(images), 10, device=device)
    model.eval()
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        batches = torch.split(torch.arange(len(images)), _EVALUATION_BATCH[device.type])
        for batch in batches[world.rank :: world.size]:
            pixels = images.pixels[batch].to(device)
            logits[batch.to(device)] = model(normalize(pixels)).float()
    world.add(logits)
    return Predictions(split, logits.cpu().numpy(), images.labels.cpu().numpy())


def _steps(learner: Learner) -> Iterator[Tick]:
    learner.network.train()
    started, due, since = time.perf_counter(), learner.step + 1, learner.step
    for batch in learner.batches():
        learner.advance(batch)
        if learner.step < due:
            continue
        _wait_for(learner.tally)
        spent = time.perf_counter() - started
        diverged, ahead = _agreed(learner, spent / (learner.step - since))
        learner.seconds += spent
        if diverged:
            return
        yield Tick(learner.step)
        started, since = time.perf_counter(), learner.step
        due = learner.step + ahead
    _wait_for(learner.tally)
    learner.seconds += time.perf_counter() - started


def _counted(learner: Learner, before: int) -> int:
    """Count this rank's steps and its share of their images; gives up to which they are counted."""
    steps = learner.step - before
    images = steps * len(learner.labels) / learner.steps_per_epoch / learner.world.size
    COUNTS.step(steps, images)
    return learner.step


def _agreed(learner: Learner, seconds_per_step: float) -> tuple[bool, int]:
    """Agree whether any rank diverged and, by the chief's clock, on the steps to the next tick.

    All tallies move to the chief's, so that what it saves counts every rank's images.
    """
    ahead = max(1, round(_TICK_SECONDS / max(seconds_per_step, 1e-6)))
    is_chief = learner.world.is_chief
    mine = learner.tally.new_tensor([ahead if is_chief else 0])
    values = learner.world.add(torch.cat((learner.tally, mine)))
    learner.tally = values[:3] if is_chief else torch.zeros_like(learner.tally)
    loss, _, _, ahead_of_chief = values.tolist()
    return not math.isfinite(loss), int(ahead_of_chief)


def _record(learner: Learner, validation: Images | None) -> EpochRecord:
    loss, correct, count = learner.world.add(learner.tally.clone()).tolist()
    seen = learner.tally.new_tensor([learner.seconds])
    seconds = learner.world.add(seen).item() / learner.world.size
    score = None
    if math.isfinite(loss):
        learner.world.align(learner.model)
        if validation is not None:
            score = evaluate(learner.model, validation, learner.world).score("validation")
    if score is not None and score.loss is None:
        loss, score = math.nan, None
    return EpochRecord(
        epoch=learner.epoch + 1,
        train_loss=loss / count if math.isfinite(loss) else None,
        train_accuracy=correct / count,
        validation_loss=score.loss if score else None,
        validation_accuracy=score.accuracy if score else None,
        lr=learner.lr,
        seconds=seconds,
        images_per_second=count / seconds,
    )


def _wait_for(tensor: Tensor) -> None:
    # A device works behind the clock's back; reading one number waits for all that is queued.
    tensor[0].item()
