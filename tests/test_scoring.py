"""Chosen weights are evaluated once, and what they predicted is kept with the run."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cifar_dist.data import Dataset
from cifar_dist.errors import DamagedError, RefusedError
from cifar_dist.evidence import galleries, shown
from cifar_dist.loop import predict
from cifar_dist.runs import Run
from cifar_dist.runs.manifest import upload_folder
from cifar_dist.scoring import EVIDENCE, Asked, kept, score
from cifar_dist.store import open_store
from cifar_dist.world import World
from tests.tiny import make_learner

MODEL = make_learner().model


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(open_store(str(tmp_path / "store")), "runs/tiny-00000000")


@pytest.fixture(scope="module")
def small(tiny_data: Dataset) -> Dataset:
    """Give 50 images to validate and 60 to test."""
    assert tiny_data.validation is not None
    few = {
        "validation": tiny_data.validation.select(torch.arange(50)),
        "test": tiny_data.test.select(torch.arange(60)),
    }
    return Dataset(**{**vars(tiny_data), **few})


def test_both_splits_are_evaluated_and_kept(run: Run, small: Dataset) -> None:
    scores, found = score(run, MODEL, small, Asked(0), World()), kept(run)
    assert scores.validation is not None and scores.test is not None
    assert (scores.validation.score.images, scores.test.score.images) == (50, 60)
    for split, images in (("validation", small.validation), ("test", small.test)):
        assert images is not None
        expected = predict(MODEL, images, "test", World())
        assert np.array_equal(found.predictions[split].logits, expected.logits)
        assert np.array_equal(found.predictions[split].labels, images.labels.numpy())


def test_maps_are_kept_of_the_images_that_are_shown(run: Run, small: Dataset) -> None:
    score(run, MODEL, small, Asked(7), World())
    found = kept(run)
    test = found.predictions["test"]
    assert found.maps is not None
    assert found.maps.indices.tolist() == shown(galleries(test, 7)).tolist()
    assert found.maps.targets.tolist() == test.predicted[found.maps.indices].tolist()
    assert found.maps.maps.max() == pytest.approx(1.0)


def test_a_temperature_is_fitted_on_validation_for_both(run: Run, small: Dataset) -> None:
    scores = score(run, MODEL, small, Asked(0), World())
    assert scores.validation is not None and scores.test is not None
    calibrations = scores.validation.calibration, scores.test.calibration
    first, second = (found and found.temperature for found in calibrations)
    assert first == second is not None


def test_without_validation_the_test_split_is_all(run: Run, small: Dataset) -> None:
    scores = score(run, MODEL, Dataset(**{**vars(small), "validation": None}), Asked(0), World())
    assert scores.validation is None
    assert list(kept(run).predictions) == ["test"]


def test_the_test_split_is_left_unread_where_that_is_asked_for(run: Run, small: Dataset) -> None:
    unread = Dataset(**{**vars(small), "test": None})
    scores = score(run, MODEL, unread, Asked(0, test=False), World())
    assert scores.validation is not None
    assert scores.test is None
    found = kept(run)
    assert (list(found.predictions), found.maps) == (["validation"], None)


def test_without_either_split_nothing_is_kept(run: Run, small: Dataset) -> None:
    nothing = Dataset(**{**vars(small), "validation": None})
    assert score(run, MODEL, nothing, Asked(0, test=False), World()) == (None, None)
    assert run.folder(EVIDENCE) is None


def test_a_model_without_a_map_is_scored_all_the_same(
    run: Run, small: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))
    assert score(run, model, small, Asked(0), World()).test is not None
    found = kept(run)
    assert (list(found.predictions), found.maps) == (["validation", "test"], None)
    assert "no maps are kept" in caplog.text


def test_an_overtaken_chief_keeps_nothing(run: Run, small: Dataset) -> None:
    attempt = run.claim_attempt()
    run.claim_attempt()
    with pytest.raises(RefusedError, match="superseded"):
        score(run, MODEL, small, Asked(0, check_fence=attempt.check_fence), World())
    assert run.folder(EVIDENCE) is None


def test_a_run_from_before_has_no_evidence(run: Run) -> None:
    assert kept(run) == ({}, None)


def test_the_newest_whole_evidence_counts(run: Run, small: Dataset, tmp_path: Path) -> None:
    for seed in (1, 2):
        score(run, MODEL, small, Asked(seed), World())
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "predictions.npz").write_bytes(b"torn")
    upload_folder(run.store, tmp_path / "torn", run.key(f"{EVIDENCE}/000003"))
    found = kept(run)
    assert found.maps is not None
    test = found.predictions["test"]
    assert found.maps.indices.tolist() == shown(galleries(test, 2)).tolist()
    score(run, MODEL, small, Asked(3), World())
    assert run.folder(EVIDENCE) is not None
    assert [*run.store.folders(run.key(EVIDENCE))] == ["000001", "000002", "000003", "000004"]


def test_damaged_evidence_is_refused(run: Run, small: Dataset, tmp_path: Path) -> None:
    score(run, MODEL, small, Asked(0), World())
    path = tmp_path / "store" / run.key(f"{EVIDENCE}/000001/predictions.npz")
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(DamagedError):
        kept(run)
