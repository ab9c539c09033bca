"""A training resumed at any tick, on one to three ranks, ends in the bits of one never stopped."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cifar_dist import loop
from cifar_dist.config import parse_job, patched
from cifar_dist.data import Images
from cifar_dist.learner import Learner
from cifar_dist.loop import Tick, epochs
from cifar_dist.precision import Arithmetic
from cifar_dist.runs import Run
from cifar_dist.session import train_session
from cifar_dist.store import open_store
from cifar_dist.world import World
from tests.processes import in_processes
from tests.tiny import CPU, make_job, make_recipe, pictures
from tests.watchers import Watcher

IMAGES, BATCH, EPOCHS = 110, 20, 3  # five whole batches of an epoch, and half a one
STEPS = 6
NORMS = {"name": "regularized_cnn", "dropout": 0.3}
DRAWN = [{"name": name} for name in ("horizontal_flip", "pad_crop", "cutout", "mixup")]

CASES: dict[str, dict[str, Any]] = {
    "synchronized": {"optimizer": {"name": "sgd", "lr": 0.05}, "batch_norm": "synchronized"},
    "local": {
        "optimizer": {"name": "adam"},
        "batch_norm": "local",
        "averaging": {"name": "ema", "every": 2},
        "accumulation": 2,
    },
    "bf16": {
        "optimizer": {"name": "muon"},
        "precision": "bf16",
        "averaging": {"name": "lookahead", "every": 3},
    },
    "plateau": {
        "optimizer": {"name": "adamw"},
        "schedule": {"name": "plateau", "patience": 0, "threshold": 0.9},
        "gradient_clip_norm": 0.5,
        "batch_norm": "local",
    },
}


def learner_of(case: str, world: World) -> Learner:
    options = {"model": NORMS, "augmentation": DRAWN, "batch_size": BATCH, "epochs": EPOCHS}
    recipe = make_recipe(**options, **CASES[case])
    return Learner(recipe, pictures(IMAGES), Arithmetic(recipe.precision, CPU), world)


def tick_of(case: str, world: World) -> int:
    """Draw the step at which a case is stopped; another one for each number of ranks."""
    return random.Random(f"{case} {world.size}").randrange(1, EPOCHS * STEPS)


def trained(learner: Learner, validation: Images, stop: int = 0, folder: Path | None = None) -> int:
    """Train to the end; the chief writes what it is at a tick. Gives the images counted there."""
    counted = 0
    for event in epochs(learner, validation):
        if isinstance(event, Tick) and event.step == stop and folder is not None:
            counted = int(learner.tally[2])
            if learner.world.is_chief:
                learner.snapshot().write(folder)
                (folder / "written").touch()
    return counted


def flat(value: Any, name: str = "") -> dict[str, Tensor]:
    """Name every tensor of a nested state; numbers become tensors."""
    if isinstance(value, Tensor | int | float):
        return {name: torch.as_tensor(value)}
    items = value.items() if isinstance(value, dict) else enumerate(value or ())
    return {key: t for k, v in items for key, t in flat(v, f"{name}.{k}").items()}


def ends(learner: Learner) -> dict[str, Any]:
    """Give all that a training ended with, but for the time that it took."""
    snapshot = learner.snapshot()
    state = {key: value for key, value in snapshot.state.items() if key != "seconds"}
    losses = [[r.train_loss, r.train_accuracy, r.validation_loss] for r in learner.history]
    found = flat(snapshot.weights, "weights") | flat(state, "state") | flat(losses, "history")
    if learner.world.is_chief:
        return found
    # Statistics of its own a rank loses at every epoch's end to the chief's, and so may a resume.
    return {f"{key}": p.detach() for key, p in learner.trained.named_parameters()}


def whole_and_resumed(world: World, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    validation = pictures(30, seed=1)
    for case in CASES:
        place = folder / case
        if world.is_chief:
            place.mkdir()
        whole, resumed = learner_of(case, world), learner_of(case, world)
        loop._TICK_SECONDS = 0.0
        counted = trained(whole, validation, tick_of(case, world), place)
        world.agree(None)
        resumed.load(place)
        begun = [resumed.step, int(resumed.tally[2])]
        loop._TICK_SECONDS = 1e9  # where ticks fall changes nothing
        trained(resumed, validation)
        found[case] = {
            "ends": [ends(whole), ends(resumed)],
            "counted": counted,
            "begun": begun,
        }
    return found


@pytest.fixture(scope="module", params=[1, 2, 3])
def ranks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    return in_processes(request.param, tmp_path_factory.mktemp("resume"), whole_and_resumed)


@pytest.mark.parametrize("case", CASES)
def test_a_training_resumed_at_a_tick_ends_in_the_same_bits(ranks: list[Any], case: str) -> None:
    for rank, found in enumerate(ranks):
        whole, resumed = found[case]["ends"]
        assert whole.keys() == resumed.keys()
        unequal = [name for name, tensor in whole.items() if not torch.equal(tensor, resumed[name])]
        assert not unequal, (rank, unequal)


@pytest.mark.parametrize("case", CASES)
def test_a_training_resumed_at_a_tick_counts_on_from_what_all_ranks_saw(
    ranks: list[Any], case: str
) -> None:
    step = tick_of(case, World(0, len(ranks)))
    seen = min((step - 1) % STEPS * BATCH + BATCH, IMAGES)
    chief, *others = (found[case] for found in ranks)
    assert chief["counted"] == seen
    assert chief["begun"] == [step, seen]
    assert all(other["begun"] == [step, 0] for other in others)


def stopped_and_continued(world: World, folder: Path) -> dict[str, Any]:
    """Train a run in one go, and another with a stop at a tick and a second life."""
    loop._TICK_SECONDS = 0.0
    base = make_job(store=str(folder / "store"), recipe__model=NORMS, placement__workers=world.size)
    job = patched(parse_job(base.model_dump(mode="json")), {"recipe.epochs": 2})
    whole, broken = (Run(open_store(job.store), f"runs/{name}-00000000") for name in ("a", "b"))
    expected = train_session(job, whole, world, Watcher())
    stopped = train_session(job, broken, world, Watcher(stop_at=7))
    result = train_session(job, broken, world, Watcher())
    assert result.test is not None and expected.test is not None
    return {
        "states": [each.state for each in (expected, stopped, result)],
        "scores": [[each.score.correct, each.score.loss] for each in (expected.test, result.test)],
        "storage": result.storage.model_dump() if result.storage else None,
    }


def test_a_run_of_several_ranks_is_resumed_from_what_its_chief_chose(
    tmp_path: Path, dataset_cache: Path
) -> None:
    chief, other = in_processes(2, tmp_path, stopped_and_continued)
    assert chief == other
    assert chief["states"] == ["finished", "interrupted", "finished"]
    whole, resumed = chief["scores"]
    assert whole == resumed
    run = Run(open_store(str(tmp_path / "store")), "runs/b-00000000")
    told = [(each.workers, each.resumed_step) for each in run.attempts()]
    assert told == [(2, None), (2, 7)]
    assert chief["storage"]["committed"] == 2
