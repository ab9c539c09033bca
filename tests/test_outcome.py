"""A run begins once, ends once, and its report says what its stored weights do."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cifar_dist.config import Job, patched
from cifar_dist.data import MEAN, STD, Dataset
from cifar_dist.documents import DataFacts, EpochRecord, TrainDocument
from cifar_dist.errors import RefusedError
from cifar_dist.models import MODELS
from cifar_dist.outcome import publish_run, start_run
from cifar_dist.runs import Run
from cifar_dist.session import Result, train_session
from cifar_dist.store import Store, open_store
from cifar_dist.world import World
from tests.result_documents import evaluated
from tests.tiny import a_record

RESULT = Result(
    state="finished",
    history=[a_record(1, 0.5)],
    best_epoch=1,
    parameters=9,
    verdict={"name": "fp32", "reason": "set by the job"},
    device="cpu",
    workers=1,
)


class _Nobody:
    """An observer who looks away."""

    def observe(self, step: int, total: int, history: Sequence[EpochRecord]) -> None:
        pass

    def stop_requested(self) -> bool:
        return False

    def seconds_left(self) -> float | None:
        return None


@pytest.fixture
def folder_store(tiny_job: Job) -> Store:
    return open_store(tiny_job.store)


@pytest.fixture
def facts(tiny_data: Dataset) -> DataFacts:
    return tiny_data.facts()


def start(
    store: Store, job: Job, facts: DataFacts, *, again: bool = False, resume: bool = False
) -> Run:
    return start_run(store, job, facts, again=again, resume=resume)


def test_a_run_is_named_after_its_recipe_and_data_alone(
    folder_store: Store, tiny_job: Job, facts: DataFacts
) -> None:
    run = start(folder_store, tiny_job, facts)
    elsewhere = patched(tiny_job, {"placement.workers": 2})
    assert start(folder_store, elsewhere, facts, resume=True).prefix == run.prefix
    others = [
        start(folder_store, patched(tiny_job, {"recipe.seed": 1}), facts),
        start(folder_store, tiny_job, facts.model_copy(update={"sha256": "0" * 64})),
    ]
    assert len({run.prefix, *(other.prefix for other in others)}) == 3


def test_a_run_says_its_whole_job_and_its_data(
    folder_store: Store, tiny_job: Job, facts: DataFacts
) -> None:
    document = start(folder_store, tiny_job, facts).document
    assert document["job"] == tiny_job.model_dump(mode="json")
    assert document["data"] == facts.model_dump(mode="json")


def test_an_unfinished_run_is_refused_with_both_ways_out(
    folder_store: Store, tiny_job: Job, facts: DataFacts
) -> None:
    run = start(folder_store, tiny_job, facts)
    with pytest.raises(RefusedError, match=r"not finished.*`cifar-dist resume tiny-.*--fresh"):
        start(folder_store, tiny_job, facts)
    assert start(folder_store, tiny_job, facts, resume=True).prefix == run.prefix


def test_a_finished_run_is_given_back_and_again_begins_the_next(
    folder_store: Store, tiny_job: Job, facts: DataFacts
) -> None:
    run = start(folder_store, tiny_job, facts, again=True)
    publish_run(run, tiny_job, RESULT, 1.0)
    assert start(folder_store, tiny_job, facts).finished is not None
    second, third = (start(folder_store, tiny_job, facts, again=True) for _ in range(2))
    assert second.prefix == f"{run.prefix}-2"
    assert third.prefix == f"{run.prefix}-3"
    assert second.finished is None


def test_publishing_writes_a_report_and_the_result_that_ends_the_run(
    folder_store: Store, tiny_job: Job, facts: DataFacts
) -> None:
    run = start(folder_store, tiny_job, facts)
    document = publish_run(run, tiny_job, RESULT, 3.0)
    assert TrainDocument.model_validate(run.finished) == document
    assert run.report() is not None
    assert (document.images_per_second, document.train_seconds) == (1.0, 1.0)


def test_without_event_files_none_are_named(
    folder_store: Store, tiny_job: Job, facts: DataFacts
) -> None:
    job = patched(tiny_job, {"tensorboard": "off"})
    document = publish_run(start(folder_store, job, facts), job, RESULT, 1.0)
    assert "tensorboard" not in document.artifacts


def test_an_interrupted_run_stays_open(
    folder_store: Store, tiny_job: Job, facts: DataFacts
) -> None:
    run = start(folder_store, tiny_job, facts)
    stopped = RESULT.model_copy(update={"state": "interrupted", "history": [], "best_epoch": 0})
    assert publish_run(run, tiny_job, stopped, 1.0).state == "interrupted"
    assert run.finished is None
    assert run.report() is None


def test_the_stored_weights_in_plain_torch_give_the_reported_accuracy(
    folder_store: Store, tiny_job: Job, tiny_data: Dataset, tmp_path: Path
) -> None:
    facts = tiny_data.facts()
    run = start(folder_store, tiny_job, facts)
    result = train_session(tiny_job, run, World(), _Nobody())
    document = publish_run(run, tiny_job, result, 1.0)
    stored = Path(tiny_job.store, document.artifacts["weights"])
    model = MODELS.build({"name": "lenet5"}).eval()
    model.load_state_dict(load_file(stored))
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (MEAN, STD))
    with torch.no_grad():
        found = model((tiny_data.test.pixels / 255 - mean) / std).argmax(1)
    assert document.test is not None
    assert document.test.score.accuracy > 0.2
    assert document.test.score.correct == (found == tiny_data.test.labels).sum()


def test_every_artifact_of_a_result_lies_where_it_says(
    folder_store: Store, tiny_job: Job, tiny_data: Dataset
) -> None:
    job, facts = patched(tiny_job, {"recipe.epochs": 1}), tiny_data.facts()
    run = start(folder_store, job, facts)
    result = train_session(job, run, World(), _Nobody())
    document = publish_run(run, job, result, 1.0)
    found = {"job", "report", "checkpoint", "weights", "tensorboard", "evidence"}
    assert set(document.artifacts) == found
    assert all(Path(job.store, key).exists() for key in document.artifacts.values())
    assert document.validation_evaluation is not None
    assert document.validation_evaluation.score == document.validation
    assert document.overfitting is not None


def test_a_result_from_before_these_figures_is_read_as_one_without_them(
    folder_store: Store, tiny_job: Job, facts: DataFacts
) -> None:
    figures = {"interval", "top2", "confused", "calibration", "augmented"}
    result = RESULT.model_copy(update={"test": evaluated()})
    document = publish_run(start(folder_store, tiny_job, facts), tiny_job, result, 1.0)
    later = {"validation_evaluation": True, "overfitting": True, "test": figures}
    older = TrainDocument.model_validate(document.model_dump(mode="json", exclude=later))
    assert older.overfitting is older.validation_evaluation is None
    assert older.test is not None
    assert older.test.score == evaluated().score
    assert older.test.interval is older.test.calibration is None
