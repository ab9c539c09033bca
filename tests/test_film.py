"""A run keeps a film of what its model looks at, and is not changed by being filmed."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cifar_dist.config import Job, patched
from cifar_dist.data import Dataset
from cifar_dist.errors import StoreError
from cifar_dist.film import Camera, read_film
from cifar_dist.runs import Run
from cifar_dist.runs.seal import sealed, unsealed
from cifar_dist.session import train_session
from cifar_dist.store import open_store
from cifar_dist.world import World
from tests.tiny import a_record, make_learner, take_steps
from tests.watchers import Watcher


@pytest.fixture
def run(tiny_job: Job) -> Run:
    """Give a run of the tiny job that was not begun."""
    return Run(open_store(tiny_job.store), "runs/tiny-00000000")


def frames(run: Run) -> list[str]:
    return sorted(entry.key.rpartition("/")[2] for entry in run.store.entries(run.key("film")))


def write_frame(run: Run, camera: Camera, attempt: int, epoch: int) -> None:
    made = camera.frame(attempt, a_record(epoch), make_learner(20).model)
    assert made is not None
    run.store.write(run.key(made[0]), made[1]())


def test_a_run_leaves_a_film_of_one_image_per_class(
    tiny_job: Job, tiny_data: Dataset, run: Run
) -> None:
    train_session(tiny_job, run, World(), Watcher())
    film = read_film(run, tiny_data, tiny_job.recipe.seed)
    assert film is not None
    assert film.epochs == (1, 2)
    assert film.maps.shape == (2, 10, 5, 5)
    assert 0 <= film.maps.min() <= film.maps.max() == 1
    assert film.predicted.shape == film.confidences.shape == (2, 10)
    assert (film.layer, film.method) == ("features", "grad_cam")
    assert tiny_data.validation is not None
    for label, image in enumerate(film.images):
        same = (tiny_data.validation.pixels.numpy() == image).all((1, 2, 3))
        assert tiny_data.validation.labels[int(np.flatnonzero(same)[0])] == label


def test_a_frame_draws_no_random_number_and_leaves_no_gradient(tiny_data: Dataset) -> None:
    learner = make_learner(100)
    take_steps(learner, 1)
    state = copy.deepcopy(learner.model.state_dict())
    learner.network.train()
    torch.manual_seed(7)
    numbers = torch.random.get_rng_state()
    assert Camera(tiny_data, 0, 1).frame(1, a_record(1), learner.model) is not None
    assert torch.equal(torch.random.get_rng_state(), numbers)
    assert all(parameter.grad is None for parameter in learner.model.parameters())
    assert all(torch.equal(state[key], value) for key, value in learner.model.state_dict().items())
    assert learner.network.training


def test_a_filmed_training_takes_the_steps_of_one_without_a_camera(tiny_data: Dataset) -> None:
    plain, filmed = make_learner(250), make_learner(250)
    camera = Camera(tiny_data, 0, 3)
    for epoch in (1, 2, 3):
        take_steps(plain, 3)
        take_steps(filmed, 3)
        camera.frame(1, a_record(epoch), filmed.model)
    other = filmed.model.state_dict()
    assert all(torch.equal(value, other[key]) for key, value in plain.model.state_dict().items())


@pytest.mark.parametrize("epochs", [1, 2, 24, 25, 26, 100, 1000])
def test_a_film_has_at_most_25_frames_with_the_first_and_the_last_epoch(
    epochs: int, tiny_data: Dataset
) -> None:
    camera, model = Camera(tiny_data, 0, epochs), make_learner(20).model
    taken = [e for e in range(1, epochs + 1) if e in camera.epochs]
    assert (taken[0], taken[-1]) == (1, epochs)
    assert len(taken) == min(epochs, 25)
    others = set(range(1, epochs + 1)) - set(taken)
    assert all(camera.frame(1, a_record(epoch), model) is None for epoch in others)


def test_of_an_epoch_told_twice_the_newest_attempt_counts(tiny_data: Dataset, run: Run) -> None:
    camera = Camera(tiny_data, 0, 2)
    for attempt, epoch in ((1, 1), (1, 2), (2, 2)):
        write_frame(run, camera, attempt, epoch)
    key = run.key("film/000001-000002.json")
    Path(run.store.uri.removeprefix("file://"), key).write_bytes(b"damaged")
    film = read_film(run, tiny_data, 0)
    assert film is not None
    assert film.epochs == (1, 2)


def test_a_frame_that_is_damaged_or_of_other_images_is_left_out(
    tiny_data: Dataset, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    camera = Camera(tiny_data, 0, 3)
    for epoch in (1, 2, 3):
        write_frame(run, camera, 1, epoch)
    folder = Path(run.store.uri.removeprefix("file://"), run.key("film"))
    (folder / "000001-000001.json").write_bytes(b"{}")
    other = unsealed((folder / "000001-000002.json").read_bytes(), "a frame")
    (folder / "000001-000002.json").write_bytes(sealed({**other, "indices": [0] * 10}))
    film = read_film(run, tiny_data, 0)
    assert film is not None
    assert film.epochs == (3,)
    assert "a frame was left out" in caplog.text


def test_a_run_without_frames_has_no_film(tiny_data: Dataset, run: Run) -> None:
    assert read_film(run, tiny_data, 0) is None


def test_a_model_without_a_map_has_no_film_and_says_so_once(
    tiny_data: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    camera = Camera(tiny_data, 0, 3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))
    assert all(camera.frame(1, a_record(epoch), model) is None for epoch in (1, 2, 3))
    assert caplog.text.count("no film is taken") == 1


def test_without_a_validation_split_training_images_are_filmed(
    tiny_job: Job, run: Run, tiny_data: Dataset
) -> None:
    job = patched(tiny_job, {"recipe.validation_fraction": 0, "recipe.epochs": 1})
    train_session(job, run, World(), Watcher())
    assert frames(run) == ["000001-000001.json"]


def test_frames_that_cannot_be_stored_do_not_stop_training(
    tiny_job: Job, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = run.store.write

    def refusing(key: str, data: bytes) -> None:
        if "/film/" in key:
            raise StoreError("no room")
        write(key, data)

    monkeypatch.setattr(run.store, "write", refusing)
    assert train_session(tiny_job, run, World(), Watcher()).state == "finished"
    assert frames(run) == []
