"""Training as a stream of events, and evaluation that counts each image once."""

import math
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cifar_dist import loop
from cifar_dist.data import normalize
from cifar_dist.documents import EpochRecord
from cifar_dist.learner import Learner
from cifar_dist.loop import Outcome, Tick, epochs, evaluate, predict
from cifar_dist.world import World
from tests.tiny import make_learner, pictures

STEPS = 3  # of an epoch: 250 images in batches of 100


class _Clock:
    """A clock that moves only when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def perf_counter(self) -> float:
        return self.seconds


class _Part(World):
    """A rank whose sums stay its own."""

    def add(self, tensor: Tensor) -> Tensor:
        return tensor


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Clock]:
    """Let every training step take a quarter of a second, and nothing else any time."""
    clock, advance = _Clock(), Learner.advance

    def timed(learner: Learner, batch: Tensor) -> None:
        advance(learner, batch)
        clock.seconds += 0.25

    monkeypatch.setattr(Learner, "advance", timed)
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=clock.perf_counter))
    return clock


def test_a_tick_comes_at_the_first_step_and_then_about_once_a_second(clock: _Clock) -> None:
    learner = make_learner(batch_size=10, epochs=1)
    ticks = [event.step for event in epochs(learner, None) if isinstance(event, Tick)]
    assert ticks == [1, 5, 9, 13, 17, 21, 25]


def test_every_epoch_ends_with_its_record(clock: _Clock) -> None:
    learner = make_learner(epochs=3)
    records = [event for event in epochs(learner, pictures(50)) if isinstance(event, EpochRecord)]
    assert [record.epoch for record in records] == [1, 2, 3]
    assert records == learner.history
    assert records[-1].train_loss < records[0].train_loss
    assert all(record.validation_loss is not None for record in records)
    assert learner.step == learner.total_steps == 3 * STEPS


def test_time_between_events_is_the_callers_and_not_counted(clock: _Clock) -> None:
    learner = make_learner(batch_size=10, epochs=2)
    for _ in epochs(learner, None):
        clock.seconds += 1000
    assert [record.seconds for record in learner.history] == [25 * 0.25] * 2
    assert [record.images_per_second for record in learner.history] == [40.0] * 2


def test_at_a_tick_the_learner_is_consistent(clock: _Clock) -> None:
    learner = make_learner(batch_size=10, epochs=2)
    for event in epochs(learner, None):
        if isinstance(event, Tick):
            assert event.step == learner.step
            images = 250 * learner.epoch + learner.tally[2].item()
            assert images == 10 * learner.step
            assert learner.seconds == (learner.step - 25 * learner.epoch) * 0.25


def test_without_validation_its_figures_are_null() -> None:
    learner = make_learner(epochs=1)
    *_, record = epochs(learner, None)
    assert isinstance(record, EpochRecord)
    assert record.validation_loss is record.validation_accuracy is None
    assert record.train_loss is not None


def test_divergence_ends_the_stream_with_a_null_loss() -> None:
    learner = make_learner(epochs=50, optimizer={"name": "sgd", "lr": 10_000})
    *before, last = epochs(learner, pictures(50))
    assert isinstance(last, EpochRecord)
    assert last.train_loss is last.validation_loss is None
    assert last == learner.history[-1]
    assert last.epoch < 50
    assert all(event.train_loss for event in before if isinstance(event, EpochRecord))


def test_divergence_is_seen_at_the_next_tick_of_an_epoch(clock: _Clock) -> None:
    learner = make_learner(batch_size=10, epochs=2)
    events = epochs(learner, None)
    next(events)
    learner.tally[0] = math.inf
    last = next(events)
    assert isinstance(last, EpochRecord)
    assert last.train_loss is None
    assert learner.step == 5
    assert list(events) == []


def test_a_validation_loss_that_is_not_finite_counts_as_divergence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcome = Outcome([[1] * 10] * 10, math.nan)
    monkeypatch.setattr(loop, "evaluate", lambda model, images, world: outcome)
    *_, record = epochs(make_learner(epochs=2), pictures(50))
    assert isinstance(record, EpochRecord)
    assert (record.epoch, record.train_loss, record.validation_loss) == (1, None, None)
    assert record.validation_accuracy is None


def test_an_evaluation_counts_each_image_once_and_adds_plain_cross_entropy() -> None:
    learner, images = make_learner(label_smoothing=0.5), pictures(523)
    outcome = evaluate(learner.model, images, World())
    with torch.no_grad():
        logits = learner.model.eval()(normalize(images.pixels))
    pairs = list(zip(images.labels.tolist(), logits.argmax(1).tolist(), strict=True))
    counts = [[pairs.count((true, found)) for found in range(10)] for true in range(10)]
    assert outcome.confusion == counts
    assert outcome.loss == pytest.approx(F.cross_entropy(logits, images.labels).item(), rel=1e-6)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_shares_of_an_evaluation_add_up_whatever_the_number_of_ranks(size: int) -> None:
    model, images = make_learner().model, pictures(100)
    whole = evaluate(model, images, World())
    parts = [evaluate(model, images, _Part(rank, size)) for rank in range(size)]
    sums = torch.tensor([part.confusion for part in parts]).sum(0)
    assert sums.tolist() == whole.confusion
    assert sum(part.loss_sum for part in parts) == pytest.approx(whole.loss_sum, rel=1e-6)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_predictions_are_the_same_to_the_bit_whatever_the_number_of_ranks(size: int) -> None:
    model, images = make_learner().model, pictures(620)
    whole = predict(model, images, "test", World())
    parts = [predict(model, images, "test", _Part(rank, size)).logits for rank in range(size)]
    assert np.array_equal(np.sum(parts, axis=0), whole.logits)
    assert np.array_equal(whole.labels, images.labels.numpy())


def test_predictions_count_as_an_evaluation_does() -> None:
    model, images = make_learner().model, pictures(523)
    predictions, outcome = predict(model, images, "test", World()), evaluate(model, images, World())
    pairs = list(zip(predictions.labels.tolist(), predictions.predicted.tolist(), strict=True))
    counts = [[pairs.count((true, found)) for found in range(10)] for true in range(10)]
    assert counts == outcome.confusion
    assert predictions.losses.sum() == pytest.approx(outcome.loss_sum, rel=1e-6)


def test_more_ranks_than_images_leave_some_without_any() -> None:
    outcome = evaluate(make_learner().model, pictures(2), _Part(2, 3))
    assert outcome.confusion == [[0] * 10] * 10
    assert outcome.loss_sum == 0


def test_an_evaluation_draws_nothing_and_changes_no_statistics() -> None:
    learner = make_learner(model={"name": "regularized_cnn"})
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    first, second = (evaluate(learner.model, pictures(50), World()) for _ in range(2))
    assert first == second
    after = learner.model.state_dict()
    assert all(torch.equal(before[name], value) for name, value in after.items())
    assert not learner.model.training


def test_a_score_is_divided_once() -> None:
    confusion = [[0] * 10 for _ in range(10)]
    confusion[3][3], confusion[3][4] = 3, 1
    score = Outcome(confusion, 2.0).score("test")
    assert (score.images, score.correct, score.accuracy, score.loss) == (4, 3, 0.75, 0.5)
    assert Outcome(confusion, math.inf).score("test").loss is None
