"""What a recipe may add to a plain step: averages, parts of a batch, clipping, rates."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cifar_dist.checkpoint import WEIGHTS, load_weights
from cifar_dist.errors import ConfigError
from cifar_dist.learner import Learner
from cifar_dist.loop import epochs, evaluate
from cifar_dist.models import MODELS
from cifar_dist.optim import AVERAGINGS
from cifar_dist.world import World
from tests.tiny import FP32, make_learner, make_recipe, pictures, take_steps

STEPS = 3  # of an epoch: 250 images in batches of 100
NORMS = {"name": "regularized_cnn"}
EMA = {"name": "ema", "every": 2}

OPTIONS: dict[str, dict[str, Any]] = {
    **{name: {"averaging": {"name": name}, "model": NORMS} for name in AVERAGINGS.names},
    "frequent ema": {"averaging": EMA, "optimizer": {"name": "muon"}, "model": NORMS},
    "plateau": {"schedule": {"name": "plateau", "patience": 0}},
    "clipping": {"gradient_clip_norm": 0.1},
    "accumulation": {"accumulation": 3, "model": NORMS},
    "rates": {"head_lr_factor": 0.5, "norm_bias_lr_factor": 8.0, "model": NORMS},
}
every_option = pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)


def weights(learner: Learner) -> dict[str, Tensor]:
    """Give the weights in training and those of the model."""
    parts = {"trained": learner.trained, "model": learner.model}
    return {
        f"{part}.{name}": tensor.clone()
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }


def assert_equal(one: Learner, other: Learner) -> None:
    assert (one.step, one.lr) == (other.step, other.lr)
    expected = weights(other)
    for name, tensor in weights(one).items():
        assert torch.equal(tensor, expected[name]), name


@every_option
@pytest.mark.parametrize("step", [2, STEPS, 2 * STEPS + 1])
def test_a_resumed_training_equals_an_uninterrupted_one(
    option: dict[str, Any], step: int, tmp_path: Path
) -> None:
    whole, stopped = (make_learner(epochs=4, **option) for _ in range(2))
    take_steps(whole, 3 * STEPS)
    take_steps(stopped, step)
    stopped.snapshot().write(tmp_path)
    resumed = make_learner(epochs=4, **option)
    resumed.load(tmp_path)
    take_steps(resumed, 3 * STEPS - step)
    assert_equal(resumed, whole)


@every_option
def test_every_option_but_none_changes_what_is_learned(option: dict[str, Any]) -> None:
    changed = make_learner(epochs=4, **option)
    same = {key: option[key] for key in ("model", "optimizer") if key in option}
    plain = make_learner(epochs=4, **same)
    for learner in (changed, plain):
        take_steps(learner, 3 * STEPS - 1)
    before, after = weights(plain), weights(changed)
    is_equal = all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert is_equal == (option.get("averaging") == {"name": "none"})


def test_without_an_average_the_model_is_the_one_in_training() -> None:
    learner = make_learner()
    assert learner.model is learner.trained


def test_the_average_is_what_is_evaluated_and_saved(tmp_path: Path) -> None:
    learner, validation = make_learner(averaging=EMA, model=NORMS, epochs=1), pictures(50)
    *_, record = epochs(learner, validation)
    assert record == learner.history[-1]
    averaged, trained = (
        evaluate(model, validation, World()).loss for model in (learner.model, learner.trained)
    )
    assert learner.history[-1].validation_loss == averaged != trained
    learner.snapshot().write(tmp_path)
    plain = MODELS.build(NORMS)
    load_weights(plain, tmp_path / WEIGHTS)
    assert evaluate(plain, validation, World()).loss == averaged


def test_training_goes_on_in_training_mode_after_an_average_was_evaluated() -> None:
    learner = make_learner(averaging=EMA, model=NORMS)
    list(epochs(learner, pictures(50)))
    assert learner.trained.training
    assert not learner.model.training


@pytest.mark.parametrize("accumulation", [2, 3, 7, 100])
def test_parts_of_a_batch_add_up_to_its_gradient(accumulation: int) -> None:
    whole = make_learner(model={"name": "lenet5", "dropout": 0.0})
    parts = make_learner(model={"name": "lenet5", "dropout": 0.0}, accumulation=accumulation)
    for learner in (whole, parts):
        take_steps(learner, STEPS)
    expected = weights(whole)
    for name, tensor in weights(parts).items():
        assert torch.allclose(tensor, expected[name], atol=1e-6), name


@pytest.mark.parametrize(
    ("accumulation", "sizes"),
    [(1, [[100], [50]]), (3, [[34, 33, 33], [25, 25]]), (100, [[1] * 100, [1] * 50])],
)
def test_parts_are_of_about_one_size_and_a_short_batch_has_fewer(
    accumulation: int, sizes: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, seen = make_learner(accumulation=accumulation), []
    monkeypatch.setattr(learner, "_backward", lambda part, count: seen.append(len(part)))
    monkeypatch.setattr(learner.optimizer, "step", lambda: None)
    first, _, last = learner.batches()
    for batch, expected in zip((first, last), sizes, strict=True):
        seen.clear()
        learner.advance(batch)
        assert seen == expected


def test_batch_norm_sees_one_part_at_a_time() -> None:
    learner = make_learner(model=NORMS, accumulation=4)
    take_steps(learner, 1)
    assert learner.model.state_dict()["features.1.num_batches_tracked"] == 4


@pytest.mark.parametrize(
    ("images", "options", "ranks"),
    [
        (201, {}, 1),
        (200, {"accumulation": 100}, 1),
        (1, {}, 1),
        (203, {"batch_norm": "local"}, 2),
    ],
)
def test_a_single_image_is_refused_before_training_where_it_cannot_be_normalized(
    images: int, options: dict[str, Any], ranks: int
) -> None:
    recipe = make_recipe(model={"name": "resnet18_imagenet"}, **options)
    with pytest.raises(ConfigError, match="choose another batch_size or accumulation"):
        Learner(recipe, pictures(images), FP32, World(0, ranks))
    take_steps(make_learner(images, model=NORMS, **options), 1)  # its maps are larger


def test_a_long_gradient_is_scaled_down_to_its_limit() -> None:
    changes = {"optimizer": {"name": "sgd", "lr": 1.0, "momentum": 0.0, "weight_decay": 0.0}}
    learner = make_learner(gradient_clip_norm=0.01, **changes)
    before = weights(learner)
    take_steps(learner, 1)
    squares = sum((tensor - before[n]).square().sum() for n, tensor in weights(learner).items())
    assert math.sqrt(squares / 2) == pytest.approx(0.01, rel=1e-3)  # both copies are one


def test_a_short_gradient_is_left_as_it_is() -> None:
    free, limited = make_learner(), make_learner(gradient_clip_norm=1e6)
    for learner in (free, limited):
        take_steps(learner, STEPS)
    assert_equal(free, limited)


def test_a_rate_falls_after_its_patience_on_a_plateau() -> None:
    schedule = {"name": "plateau", "patience": 1, "factor": 0.5}
    learner = make_learner(epochs=6, schedule=schedule)
    rates = []
    for _ in range(6):
        take_steps(learner, STEPS)
        rates.append(learner.lr / 0.05)
    assert rates == [1, 1, 1, 0.5, 0.5, 0.25]


def test_epochs_of_a_warm_up_are_not_held_against_a_plateau() -> None:
    schedule = {"name": "plateau", "patience": 0, "factor": 0.5}
    learner = make_learner(epochs=5, schedule=schedule, warmup_epochs=1.4)
    take_steps(learner, 4 * STEPS)
    assert learner.lr == 0.05  # the third epoch is the first to be compared with
    take_steps(learner, 1)
    assert learner.lr == 0.025


def test_the_reported_rate_is_not_that_of_a_scaled_group() -> None:
    learner = make_learner(head_lr_factor=3.0, norm_bias_lr_factor=5.0, model=NORMS)
    take_steps(learner, 1)
    assert learner.lr == 0.05
    rates = {round(group["lr"], 9) for group in learner.optimizer.param_groups}
    assert rates == {0.05, 0.15, 0.25}


def test_more_parts_than_images_are_refused() -> None:
    with pytest.raises(ConfigError, match="accumulation=101 must not exceed batch_size=100"):
        make_recipe(accumulation=101)
