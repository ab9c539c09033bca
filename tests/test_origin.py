"""Weights come with the recipe, the data and the scores of the run that made them."""

import shutil
from pathlib import Path

import pytest

from cifar_dist.api.origin import origin
from cifar_dist.documents import Score
from cifar_dist.errors import DataError
from cifar_dist.runs import fetch
from cifar_dist.store import Store, open_store
from tests.kept_runs import a_document, keep_run, keep_sweep
from tests.tiny import make_job

SWEEP, RUN = "s-00000000", "s-00000000-00000001"
JOB = make_job(recipe__epochs=9, recipe__validation_fraction=0)


@pytest.fixture
def retrained(tmp_path: Path) -> Store:
    """Give a store with a sweep whose winner was retrained on all images."""
    store = open_store(str(tmp_path / "store"))
    score = Score(split="validation", images=100, correct=77, accuracy=0.77, loss=0.5)
    data = a_document(store).data.model_copy(update={"validation_images": 0})
    job = JOB.model_dump(mode="json")
    keep_run(store, RUN, job=job, data=data, validation=score, best_epoch=9)
    keep_sweep(store, SWEEP, winner_run=f"runs/{RUN}")
    return store


@pytest.mark.parametrize("where", ["store", "folder"])
def test_a_retrained_winner_is_told_of_by_its_own_run(
    retrained: Store, tmp_path: Path, where: str
) -> None:
    fetch(retrained, SWEEP, tmp_path / "copy")
    found = origin(SWEEP if where == "store" else str(tmp_path / "copy"), retrained.uri)
    assert (found.name, found.epoch, found.data.validation_images) == (SWEEP, 9, 0)
    assert found.recipe == JOB.model_dump(mode="json")["recipe"]
    assert found.validation is not None
    assert found.validation.correct == 77


def test_a_winner_that_is_a_trial_is_told_of_by_its_sweep(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    document = keep_sweep(store, SWEEP)
    found = origin(SWEEP, store.uri)
    assert (found.name, found.data) == (SWEEP, document.data)
    assert found.recipe == make_job().model_dump(mode="json")["recipe"]


@pytest.mark.parametrize(("changes", "has_read"), [({}, True), ({"test": None}, False)])
def test_whether_a_result_was_read_from_the_test_split_is_known(
    tmp_path: Path, changes: dict[str, None], has_read: bool
) -> None:
    store = open_store(str(tmp_path / "store"))
    keep_run(store, RUN, **changes)
    assert origin(RUN, store.uri).has_read_test == has_read


def test_a_folder_fetched_before_the_run_was_copied_is_to_be_fetched_again(
    retrained: Store, tmp_path: Path
) -> None:
    fetch(retrained, SWEEP, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "winner")
    with pytest.raises(DataError, match="fetch it again"):
        origin(str(tmp_path / "copy"), retrained.uri)
