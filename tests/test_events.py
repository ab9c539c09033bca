"""What TensorBoard is told: once per epoch, in order, and the same after a resume."""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from cifar_dist import events
from cifar_dist.config import Job, patched
from cifar_dist.data import Dataset
from cifar_dist.documents import EpochRecord
from cifar_dist.errors import StoreError
from cifar_dist.events import EventFiles, event_files
from cifar_dist.learner import Learner
from cifar_dist.runs import Run, artifacts, verify
from cifar_dist.session import Session, train_session
from cifar_dist.store import open_store
from cifar_dist.world import World
from tests.event_files import read_events, read_folder
from tests.tiny import FP32, a_record, make_job
from tests.watchers import Watcher

TAGS = {
    "loss/train": "train_loss",
    "loss/validation": "validation_loss",
    "accuracy/train": "train_accuracy",
    "accuracy/validation": "validation_accuracy",
    "lr": "lr",
    "images_per_second": "images_per_second",
}


@pytest.fixture
def run(tiny_job: Job) -> Run:
    return Run(open_store(tiny_job.store), "runs/tiny-00000000")


@pytest.fixture
def told(tiny_job: Job, run: Run) -> Path:
    """Give the folder of the run's event files."""
    return Path(tiny_job.store, run.prefix, "tensorboard")


def train(job: Job, run: Run, stop_at: int | None = None) -> list[EpochRecord]:
    return train_session(job, run, World(), Watcher(stop_at)).history


def one_epoch(job: Job, run: Run, data: Dataset) -> Session:
    learner = Learner(job.recipe, data.train, FP32)
    session = Session(run, learner, data, event_files(job, {}))
    next(event for event in session.events() if isinstance(event, EpochRecord))
    return session


def expected(history: list[EpochRecord]) -> dict[str, dict[int, float]]:
    return {
        tag: {record.epoch: np.float32(getattr(record, field)) for record in history}
        for tag, field in TAGS.items()
    }


def encoded(path: Path, files: EventFiles, record: EpochRecord, model: torch.nn.Module) -> Path:
    path.write_bytes(files.file(1, record, model)[1]())
    return path


def test_every_epoch_is_one_file_and_names_are_in_order(
    tiny_job: Job, run: Run, told: Path
) -> None:
    history = train(tiny_job, run)
    names = sorted(path.name for path in told.iterdir())
    assert [name.rpartition(".")[2] for name in names] == ["000001-000001", "000001-000002"]
    assert all(name.startswith("events.out.tfevents.") for name in names)
    assert all(len(name.split(".")[3]) == 10 for name in names)
    assert read_folder(told) == expected(history)


def test_a_resumed_run_tells_every_epoch_once(tiny_job: Job, run: Run, told: Path) -> None:
    train(tiny_job, run, stop_at=1)
    history = train(tiny_job, run)
    assert read_folder(told) == expected(history)


def test_an_epoch_told_and_then_lost_is_forgotten(
    tiny_job: Job, run: Run, told: Path, tiny_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise StoreError("the machine is gone")

    with monkeypatch.context() as patch:
        patch.setattr("cifar_dist.runs.Attempt.commit", killed)
        with pytest.raises(StoreError):
            one_epoch(tiny_job, run, tiny_data).wait()
    history = train(tiny_job, run)
    assert len(list(told.iterdir())) == 3
    assert read_folder(told) == expected(history)


def test_a_run_is_silent_if_asked(tiny_job: Job, run: Run, told: Path) -> None:
    train(patched(tiny_job, {"tensorboard": "off", "recipe.epochs": 1}), run)
    assert not told.exists()


def test_event_files_that_cannot_be_stored_do_not_stop_training(
    tiny_job: Job, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    claim = run.store.claim

    def refuse(key: str, data: bytes) -> bool:
        if "tensorboard" in key:
            raise StoreError("no right to write there")
        return claim(key, data)

    monkeypatch.setattr(run.store, "claim", refuse)
    assert len(train(tiny_job, run)) == 2
    assert len(run.checkpoints()) == 2
    assert "no right to write there" in caplog.text


def test_event_files_are_listed_without_a_hash_and_not_judged(
    tiny_job: Job, run: Run, tiny_data: Dataset
) -> None:
    run.create({"job": tiny_job.model_dump(mode="json")})
    one_epoch(tiny_job, run, tiny_data).wait()
    name = "tiny-00000000"
    rows = [row for row in artifacts(run.store, name) if "/tensorboard/" in row.key]
    assert [(row.sha256, row.verdict) for row in rows] == [(None, None)]
    assert rows[0].bytes > 0
    assert not any("/tensorboard/" in row.key for row in verify(run.store, name))


def test_a_histogram_per_parameter_shows_the_weights_of_that_epoch(tmp_path: Path) -> None:
    model = torch.nn.Linear(50, 3)
    files = EventFiles({}, histograms=True)
    _, content = files.file(1, a_record(1), model)
    weights = model.weight.detach().clone()
    torch.nn.init.zeros_(model.weight)
    (tmp_path / "events").write_bytes(content())
    values = [v for event in read_events(tmp_path / "events") for v in event.summary.value]
    found = {value.tag: value.histo for value in values if value.HasField("histo")}
    assert set(found) == {"parameters/weight", "parameters/bias"}
    assert (found["parameters/weight"].num, found["parameters/bias"].num) == (150, 3)
    assert found["parameters/weight"].sum == pytest.approx(weights.double().sum().item())


def test_while_storage_is_slow_only_the_newest_weights_stay_in_memory(tmp_path: Path) -> None:
    files, model = EventFiles({}, histograms=True), torch.nn.Linear(2, 1)
    waiting = [files.file(1, a_record(epoch), model)[1] for epoch in (1, 2, 3)]
    drawn = []
    for content in waiting:
        (tmp_path / "events").write_bytes(content())
        values = [v for e in read_events(tmp_path / "events") for v in e.summary.value]
        drawn.append(sum(value.HasField("histo") for value in values))
        assert any(value.tag == "loss/train" for value in values)
    assert drawn == [0, 2, 2]


@pytest.mark.parametrize("value", [0.0, 1e-40, float("inf"), float("nan")])
def test_strange_weights_are_drawn_or_left_out(value: float, tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.constant_(model.weight, value)
    events = read_events(
        encoded(tmp_path / "1", EventFiles({}, histograms=True), a_record(1), model)
    )
    drawn = [v for event in events for v in event.summary.value if v.HasField("histo")]
    assert len(drawn) == np.isfinite(value)


def test_a_trial_says_what_sets_it_apart(tmp_path: Path) -> None:
    settings = {"recipe.optimizer.lr": 0.5, "recipe.model.name": "lenet5", "list": [1, 2]}
    files = EventFiles(settings, histograms=False)
    model = torch.nn.Linear(1, 1)
    first = read_events(encoded(tmp_path / "1", files, a_record(1), model))
    second = read_events(encoded(tmp_path / "2", files, a_record(2), model))
    tag = "_hparams_/session_start_info"
    values = [v for event in first for v in event.summary.value if v.tag == tag]
    told = HParamsPluginData.FromString(values[0].metadata.plugin_data.content)
    hparams = told.session_start_info.hparams
    assert hparams["recipe.optimizer.lr"].number_value == 0.5
    assert hparams["recipe.model.name"].string_value == "lenet5"
    assert hparams["list"].string_value == "[1, 2]"
    assert not any(v.tag == tag for event in second for v in event.summary.value)


def test_what_is_not_known_is_not_drawn(tmp_path: Path) -> None:
    files = EventFiles({}, histograms=False)
    found = read_events(encoded(tmp_path / "1", files, a_record(1), torch.nn.Linear(1, 1)))
    tags = {value.tag for event in found for value in event.summary.value}
    assert tags == set(TAGS) - {"loss/validation", "accuracy/validation"}


def test_the_library_is_imported_only_where_an_epoch_is_encoded() -> None:
    top = [n for n in ast.parse(inspect.getsource(events)).body if isinstance(n, ast.ImportFrom)]
    assert top and not any((node.module or "").startswith("tensorboardX") for node in top)


def test_a_jobs_wish_decides_what_is_told() -> None:
    assert not event_files(make_job(tensorboard="off"), {})
    assert event_files(make_job(), {})
