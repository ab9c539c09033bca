"""Placement never changes what is learned: one, two and three processes train alike."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cifar_dist import loop
from cifar_dist.config import Recipe
from cifar_dist.data import Dataset
from cifar_dist.dataset import open_dataset
from cifar_dist.documents import EpochRecord
from cifar_dist.learner import Learner
from cifar_dist.loop import Tick, epochs, predict
from cifar_dist.runs import Run
from cifar_dist.scoring import Asked, kept, score
from cifar_dist.store import open_store
from cifar_dist.world import World
from tests.processes import in_processes
from tests.tiny import FP32, make_recipe

MODELS: dict[str, dict[str, Any]] = {
    "lenet5": {},
    "regularized_cnn": {
        "accumulation": 3,
        "averaging": {"name": "ema", "every": 1},
        "gradient_clip_norm": 0.5,
        "head_lr_factor": 0.5,
        "norm_bias_lr_factor": 2.0,
        "schedule": {"name": "plateau", "patience": 0, "threshold": 1.0},
    },
}
SPLIT = {"validation_fraction": 0.1, "seed": 0}  # 1,800 images in batches of 1,024 and 776


def recipe_of(model: str) -> Recipe:
    return make_recipe(
        model={"name": model, "dropout": 0.0},
        augmentation=[{"name": "horizontal_flip"}, {"name": "pad_crop"}, {"name": "cutout"}],
        batch_norm="synchronized",
        batch_size=1024,
        **MODELS[model],
    )


def trained(dataset: Dataset, model: str, world: World) -> list[dict[str, Any]]:
    learner = Learner(recipe_of(model), dataset.train, FP32, world)
    list(epochs(learner, dataset.validation))
    return [record.model_dump() for record in learner.history]


def saved_at_first_tick(dataset: Dataset, world: World, folder: Path) -> None:
    """Stop between the two batches of an epoch; the chief alone saves."""
    learner = Learner(recipe_of("lenet5"), dataset.train, FP32, world)
    next(epochs(learner, dataset.validation))
    if world.is_chief:
        learner.snapshot().write(folder)


def local_buffers(dataset: Dataset, world: World) -> dict[str, Tensor]:
    """Give the statistics that an epoch of each rank's own ones ends with."""
    local = {"batch_norm": "local", "batch_size": 100, "epochs": 1}
    recipe = recipe_of("regularized_cnn").model_copy(update=local)
    assert dataset.validation is not None
    learner = Learner(recipe, dataset.validation, FP32, world)
    list(epochs(learner, None))
    return dict(learner.model.named_buffers())


def weights_of_single_images(dataset: Dataset, world: World) -> dict[str, Tensor]:
    """Train on batches worked through image by image: all ranks but one bring nothing to a part."""
    parts = {"batch_size": 4, "accumulation": 4, "epochs": 1}
    recipe = recipe_of("lenet5").model_copy(update=parts)
    learner = Learner(recipe, dataset.train.select(torch.arange(0, 1800, 150)), FP32, world)
    list(epochs(learner, None))
    return learner.model.state_dict()


def steps_whole_and_resumed(
    dataset: Dataset, world: World, folder: Path
) -> list[dict[str, Tensor]]:
    """Take four steps in one go, then the last two of them again from a checkpoint."""
    recipe = recipe_of("regularized_cnn").model_copy(update={"batch_size": 50, "epochs": 1})
    whole, resumed = (Learner(recipe, dataset.train, FP32, world) for _ in range(2))
    for step, batch in enumerate(islice(whole.batches(), 4)):
        if step == 2 and world.is_chief:
            whole.snapshot().write(folder)
        whole.advance(batch)
    resumed.load(folder)
    for batch in islice(resumed.batches(), 2):
        resumed.advance(batch)
    return [learner.trained.state_dict() for learner in (whole, resumed)]


def scored(dataset: Dataset, world: World, folder: Path) -> tuple[Tensor, dict[str, Any]]:
    """Predict the test split with initial weights, evaluate and keep it."""
    learner = Learner(recipe_of("regularized_cnn"), dataset.train, FP32, world)
    logits = predict(learner.model, dataset.test, "test", world).logits
    run = Run(open_store(str(folder)), "runs/tiny-00000000")
    scores = score(run, learner.model, dataset, Asked(0), world)
    assert scores.test is not None
    return torch.from_numpy(logits), scores.test.model_dump()


def act(world: World, folder: Path) -> dict[str, Any]:
    """Train every model as one rank, and give what it says of each epoch."""
    dataset = open_dataset("synthetic", **SPLIT)
    saved_at_first_tick(dataset, world, folder)
    found: dict[str, Any] = {model: trained(dataset, model, world) for model in MODELS}
    found["weights"] = weights_of_single_images(dataset, world)
    found["scores"] = scored(dataset, world, folder / "store")
    found["steps"] = steps_whole_and_resumed(dataset, world, folder / "midway")
    return found | {"buffers": local_buffers(dataset, world)}


@pytest.fixture(scope="module")
def alone(tiny_data: Dataset) -> dict[str, Any]:
    return {model: trained(tiny_data, model, World()) for model in MODELS}


@pytest.fixture(scope="module", params=[2, 3])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(f"workers-{request.param}")
    (folder / "midway").mkdir()
    (folder / "ranks").write_text(str(request.param))
    return folder


@pytest.fixture(scope="module")
def together(place: Path, dataset_cache: Path) -> list[dict[str, Any]]:
    return in_processes(int((place / "ranks").read_text()), place, act)


@pytest.mark.parametrize("model", MODELS)
def test_more_workers_learn_the_same(
    model: str, alone: dict[str, Any], together: list[dict[str, Any]]
) -> None:
    for rank in together:
        for mine, expected in zip(rank[model], alone[model], strict=True):
            for name in ("train_loss", "validation_loss", "train_accuracy"):
                assert mine[name] == pytest.approx(expected[name], rel=1e-3), name
            assert mine["lr"] == expected["lr"]


def test_more_workers_change_no_digit_of_an_evaluation(
    together: list[dict[str, Any]], tiny_data: Dataset, place: Path, tmp_path: Path
) -> None:
    logits, scores = scored(tiny_data, World(), tmp_path)
    for rank in together:
        assert torch.equal(rank["scores"][0], logits)
        assert rank["scores"][1] == scores
    run = Run(open_store(str(place / "store")), "runs/tiny-00000000")
    assert np.array_equal(kept(run).predictions["test"].logits, logits.numpy())


def test_several_workers_continue_to_the_same_bits(together: list[dict[str, Any]]) -> None:
    for rank in together:
        whole, resumed = rank["steps"]
        for name, tensor in whole.items():
            assert torch.equal(tensor, resumed[name]), name


def test_parts_too_small_for_every_worker_add_up(
    together: list[dict[str, Any]], tiny_data: Dataset
) -> None:
    expected = weights_of_single_images(tiny_data, World())
    for rank in together:
        for name, tensor in expected.items():
            assert torch.allclose(rank["weights"][name], tensor, atol=1e-5), name


@pytest.mark.parametrize("model", MODELS)
def test_an_epoch_counts_every_image_once_over_all_workers(
    model: str, together: list[dict[str, Any]]
) -> None:
    for rank in together:
        for record in rank[model]:
            assert record["images_per_second"] * record["seconds"] == pytest.approx(1800)


def test_all_workers_hold_one_history(together: list[dict[str, Any]]) -> None:
    for model in MODELS:
        assert all(rank[model] == together[0][model] for rank in together)


def test_statistics_of_each_workers_own_become_the_chiefs(together: list[dict[str, Any]]) -> None:
    for rank in together:
        for name, buffer in rank["buffers"].items():
            assert torch.equal(buffer, together[0]["buffers"][name])


def test_one_worker_continues_what_several_began(
    place: Path, alone: dict[str, Any], together: list[dict[str, Any]], tiny_data: Dataset
) -> None:
    learner = Learner(recipe_of("lenet5"), tiny_data.train, FP32)
    learner.load(place)
    assert (learner.step, learner.tally[2]) == (1, 1024)
    list(epochs(learner, tiny_data.validation))
    for mine, expected in zip(learner.history, alone["lenet5"], strict=True):
        assert mine.train_loss == pytest.approx(expected["train_loss"], rel=1e-3)
        assert mine.validation_loss == pytest.approx(expected["validation_loss"], rel=1e-3)


def resumed(world: World, folder: Path) -> list[dict[str, Any]]:
    """Continue on several ranks what one process saved."""
    dataset = open_dataset("synthetic", **SPLIT)
    learner = Learner(recipe_of("lenet5"), dataset.train, FP32, world)
    learner.load(folder)
    loop._TICK_SECONDS = 0.0
    events = list(epochs(learner, dataset.validation))
    kinds = [type(event) for event in events]
    assert kinds == [Tick, EpochRecord, Tick, Tick, EpochRecord]
    return [record.model_dump() for record in learner.history]


def test_several_workers_continue_what_one_began(
    tmp_path: Path, alone: dict[str, Any], tiny_data: Dataset, dataset_cache: Path
) -> None:
    saved_at_first_tick(tiny_data, World(), tmp_path)
    for rank in in_processes(2, tmp_path, resumed):
        for mine, expected in zip(rank, alone["lenet5"], strict=True):
            assert mine["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-3)
            assert mine["images_per_second"] * mine["seconds"] == pytest.approx(1800)
