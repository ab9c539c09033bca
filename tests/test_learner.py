"""All that changes while training comes back from a checkpoint to the same bits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from cifar_dist import learner as module
from cifar_dist.checkpoint import STATE, WEIGHTS, load_weights
from cifar_dist.data import normalize, shard
from cifar_dist.errors import DamagedError
from cifar_dist.learner import Learner, build_model
from cifar_dist.models import MODELS
from cifar_dist.models.speednet import SpeedNet
from cifar_dist.optim import OPTIMIZERS, SCHEDULES, factor
from cifar_dist.precision import Arithmetic
from tests.tiny import CPU, make_learner, make_recipe, pictures, take_steps

NARROW = {"name": "speednet", "widths": [8, 8, 8]}
STEPS = 3  # of an epoch: 250 images in batches of 100

every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.names)
every_model = pytest.mark.parametrize("name", MODELS.names)


def continued(learner: Learner, folder: Path) -> Learner:
    """Save a learner, and load the copy into one that was built anew."""
    folder.mkdir()
    learner.snapshot().write(folder)
    fresh = Learner(learner.recipe, pictures(250), learner.arithmetic)
    fresh.load(folder)
    return fresh


def assert_equal(one: Learner, other: Learner) -> None:
    assert (one.step, one.epoch, one.history) == (other.step, other.epoch, other.history)
    assert torch.equal(one.tally, other.tally)
    weights = other.model.state_dict()
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


@every_optimizer
@pytest.mark.parametrize("step", [0, 2, STEPS, STEPS + 1])
def test_a_resumed_training_equals_an_uninterrupted_one(
    optimizer: str, step: int, tmp_path: Path
) -> None:
    whole = make_learner(optimizer={"name": optimizer})
    stopped = make_learner(optimizer={"name": optimizer})
    take_steps(whole, 2 * STEPS)
    take_steps(stopped, step)
    resumed = continued(stopped, tmp_path / "saved")
    assert_equal(resumed, stopped)
    take_steps(resumed, 2 * STEPS - step)
    assert_equal(resumed, whole)


@pytest.mark.parametrize("name", ["fp32_channels_last", "bf16", "bf16_depthwise_fp32"])
def test_a_resumed_training_equals_an_uninterrupted_one_in_any_arithmetic(
    name: str, tmp_path: Path
) -> None:
    recipe = make_recipe(model={"name": "dsc_net"}, optimizer={"name": "muon"}, batch_size=10)
    whole, stopped = (Learner(recipe, pictures(30), Arithmetic(name, CPU)) for _ in range(2))
    take_steps(whole, 2)
    take_steps(stopped, 1)
    stopped.snapshot().write(tmp_path)
    resumed = Learner(recipe, pictures(30), Arithmetic(name, CPU))
    resumed.load(tmp_path)
    take_steps(resumed, 1)
    assert_equal(resumed, whole)


@every_model
def test_every_model_is_saved_in_the_layout_of_plain_torch(name: str, tmp_path: Path) -> None:
    recipe = make_recipe(model={"name": name}, batch_size=10)
    learner = Learner(recipe, pictures(20), Arithmetic("bf16_depthwise_fp32", CPU))
    take_steps(learner, 1)
    learner.snapshot().write(tmp_path)
    plain = MODELS.build({"name": name})
    load_weights(plain, tmp_path / WEIGHTS)
    for key, tensor in learner.model.state_dict().items():
        assert torch.equal(tensor, plain.state_dict()[key])


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path) -> None:
    make_learner(model={"name": "simple_cnn"}).snapshot().write(tmp_path)
    with pytest.raises(DamagedError, match=r"model\.safetensors does not fit this model"):
        make_learner().load(tmp_path)


def test_a_checkpoint_of_another_optimizer_is_refused(tmp_path: Path) -> None:
    make_learner(optimizer={"name": "muon"}).snapshot().write(tmp_path)
    with pytest.raises(DamagedError, match=r"state\.pt does not fit this job .*another recipe"):
        make_learner(optimizer={"name": "sgd"}).load(tmp_path)


@pytest.mark.parametrize("name", [WEIGHTS, STATE])
def test_a_checkpoint_that_lacks_a_file_is_refused(name: str, tmp_path: Path) -> None:
    make_learner().snapshot().write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DamagedError, match=name):
        make_learner().load(tmp_path)


@pytest.mark.parametrize("name", SCHEDULES.names)
def test_every_step_has_the_learning_rate_of_its_schedule_and_warm_up(name: str) -> None:
    learner = make_learner(
        epochs=3, warmup_epochs=1, schedule={"name": name}, optimizer={"name": "sgd", "lr": 0.5}
    )
    schedule = SCHEDULES.build({"name": name})
    for step in range(3 * STEPS):
        take_steps(learner, 1)
        assert learner.lr == pytest.approx(0.5 * factor(schedule, step, 3 * STEPS, STEPS))


class Copies(TorchDispatchMode):
    """Notes what makes a device's tensor of a CPU's."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = call(*args, **(kwargs or {}))
        given = [value for value in args if isinstance(value, Tensor)]
        if isinstance(result, Tensor) and result.is_meta and not all(t.is_meta for t in given):
            self.found.append(str(call))
        return result


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accumulation": 3, "averaging": {"name": "ema", "every": 1}},
        *({"augmentation": [{"name": name}]} for name in ("cutout", "mixup", "translate", "hue")),
    ],
)
def test_a_step_never_waits_for_its_device(changes: dict[str, Any]) -> None:
    # Tensors without data: whatever asks for a number, or for a count, fails.
    nowhere = Arithmetic("fp32", torch.device("meta"))
    recipe = make_recipe(optimizer={"name": "muon"}, **changes)
    learner = Learner(recipe, pictures(250), nowhere)
    first, second, _ = learner.batches()
    learner.advance(first)
    with Copies() as copies:
        learner.advance(second)
    assert not copies.found


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_an_epoch_shows_every_image_once_whatever_the_number_of_ranks(world: int) -> None:
    learner = make_learner()
    batches = list(learner.batches())
    seen = [shard(batch, rank, world) for batch in batches for rank in range(world)]
    assert [len(batch) for batch in batches] == [100, 100, 50]
    assert torch.equal(torch.cat(seen).sort().values, torch.arange(250))


def test_a_step_trains_on_its_ranks_share_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, seen = make_learner(), []

    def noted(batch: Tensor, rank: int, world: int) -> Tensor:
        seen.append(shard(batch, rank, world))
        return seen[-1]

    monkeypatch.setattr(module, "shard", noted)
    take_steps(learner, 2)
    assert learner.tally[2] == 200 == sum(map(len, seen))
    assert torch.equal(torch.cat(seen), torch.cat(list(make_learner().batches())[:2]))


def test_epochs_come_in_other_orders() -> None:
    learner = make_learner()
    first = torch.cat(list(learner.batches()))
    take_steps(learner, STEPS)
    assert not torch.equal(first, torch.cat(list(learner.batches())))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_label_smoothing_spreads_its_share_over_all_classes(smoothing: float) -> None:
    changes = {"model": {"name": "simple_cnn"}, "augmentation": [], "label_smoothing": smoothing}
    learner = make_learner(**changes)
    batch, images = next(learner.batches()), pictures(250)
    model = build_model(learner.recipe.model, learner.recipe.seed)
    losses = -model(normalize(images.pixels[batch])).log_softmax(1)
    right = losses.gather(1, images.labels[batch, None])
    expected = ((1 - smoothing) * right + smoothing * losses.mean(1, keepdim=True)).sum()
    learner.advance(batch)
    assert learner.tally[0].item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_seed_means_one_training_and_another_seed_another() -> None:
    learners = [make_learner(seed=seed) for seed in (1, 1, 2)]
    for learner in learners:
        take_steps(learner, 2)
    same, twin, other = (learner.model.state_dict() for learner in learners)
    assert all(torch.equal(same[name], twin[name]) for name in same)
    assert not any(torch.equal(same[name], other[name]) for name in same)


def test_dropout_draws_anew_at_every_step_from_its_place_alone() -> None:
    learner, twin = make_learner(), make_learner(optimizer={"name": "adam"})
    seen = []
    for _ in range(2 * STEPS):
        for each in (learner, twin):
            take_steps(each, 1)
            seen.append(torch.initial_seed())
    assert seen[::2] == seen[1::2]
    assert len(set(seen)) == 2 * STEPS


def test_building_a_model_leaves_the_callers_random_numbers_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    build_model(make_recipe().model, 5)
    assert torch.equal(torch.rand(3), expected)


def test_a_stem_is_whitened_once_and_then_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = []
    whiten = SpeedNet.whiten
    monkeypatch.setattr(
        SpeedNet, "whiten", lambda self, images: calls.append(len(images)) or whiten(self, images)
    )
    learner = make_learner(model=NARROW, optimizer={"name": "muon"})
    stem = learner.model.state_dict()["stem.weight"].clone()
    take_steps(learner, 2 * STEPS)
    assert torch.equal(learner.model.state_dict()["stem.weight"], stem)
    assert calls == [250]
    learner.snapshot().write(tmp_path)
    other = Learner(learner.recipe, pictures(250, seed=1), learner.arithmetic)
    assert not torch.equal(other.model.state_dict()["stem.weight"], stem)
    other.load(tmp_path)
    assert torch.equal(other.model.state_dict()["stem.weight"], stem)
