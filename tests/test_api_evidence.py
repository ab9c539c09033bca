"""What a report is drawn from is gathered from the store, the images and the recipe."""

from pathlib import Path

import numpy as np
import pytest

from cifar_dist.api.evidence import gather
from cifar_dist.config import Job
from cifar_dist.data import Dataset
from cifar_dist.runs import Run
from cifar_dist.scoring import EVIDENCE, Asked, score
from cifar_dist.store import open_store
from cifar_dist.world import World
from tests.tiny import make_learner


@pytest.fixture
def run(tiny_job: Job) -> Run:
    return Run(open_store(tiny_job.store), "runs/tiny-00000000")


def test_all_that_a_report_shows_is_gathered(run: Run, tiny_job: Job, tiny_data: Dataset) -> None:
    score(run, make_learner().model, tiny_data, Asked(0), World())
    found = gather(run, tiny_job, tiny_data)
    assert tiny_data.validation is not None
    for split, images in (("validation", tiny_data.validation), ("test", tiny_data.test)):
        assert np.array_equal(found.images[split], images.pixels.numpy())
        assert np.array_equal(found.labels[split], found.predictions[split].labels)
    assert [part.images for part in found.statistics] == [1800, 200, 500]
    assert found.maps is not None
    assert found.augmented is not None
    assert found.augmented.shape == (6, 8, 3, 32, 32)
    assert found.model is not None
    assert (found.model.name, found.model.parameters) == ("lenet5", 62_006)
    assert found.schedule


def test_an_older_run_goes_without_what_it_lacks(
    run: Run, tiny_job: Job, tiny_data: Dataset
) -> None:
    found = gather(run, tiny_job, tiny_data)
    assert found.predictions == {}
    assert found.maps is found.film is None
    assert set(found.images) == {"train", "validation", "test"}


def test_what_fails_unforeseen_is_left_out_alone(
    run: Run, tiny_job: Job, tiny_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    for name in ("kept", "read_film", "augmentation_sheet", "describe", "statistics", "schedule"):
        monkeypatch.setattr(f"cifar_dist.api.evidence.{name}", failing)
    found = gather(run, tiny_job, tiny_data)
    assert found.model is found.maps is found.film is found.augmented is None
    assert (found.predictions, found.statistics, found.schedule) == ({}, (), ())
    assert set(found.images) == set(found.labels) == {"train", "validation", "test"}


def test_what_is_damaged_is_left_out_and_told(
    run: Run,
    tiny_job: Job,
    tiny_data: Dataset,
    caplog: pytest.LogCaptureFixture,
) -> None:
    score(run, make_learner().model, tiny_data, Asked(0), World())
    path = Path(tiny_job.store, run.key(f"{EVIDENCE}/000001/maps.npz"))
    path.write_bytes(b"damaged")
    found = gather(run, tiny_job, tiny_data)
    assert found.predictions == {}
    assert found.maps is None
    assert "left out of the report" in caplog.text
