"""The program as a library: the README's example, models from everywhere, and quiet by default."""

import base64
import json
import re
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import nn

import cifar_dist
from cifar_dist import CifarDistError, load_model, train, tune
from cifar_dist.api import model as models
from cifar_dist.api.notebook import follower
from cifar_dist.documents import TrainDocument, TuneDocument, WeightsDocument
from cifar_dist.errors import (
    ConfigError,
    DamagedError,
    DataError,
    InterruptedRunError,
    RefusedError,
)
from cifar_dist.runs import fetch
from cifar_dist.search import Space
from cifar_dist.store import open_store
from tests.commands import finished, python
from tests.result_documents import run_document, sweep_document, trial
from tests.tiny import make_job

README = Path(__file__).parents[1] / "README.md"
IMAGES = torch.zeros(2, 3, 32, 32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainDocument:
    """Train the tiny job once."""
    return train(make_job(store=str(tmp_path_factory.mktemp("trained") / "store")))


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Give a model's weights, after a look at what it is."""
    assert not model.training
    assert model(IMAGES).shape == (2, 10)
    return model.state_dict()


def test_importing_the_package_loads_neither_torch_nor_ray(folder: Path) -> None:
    code = "import sys, cifar_dist; print(cifar_dist.__all__, {'torch', 'ray'} & {*sys.modules})"
    ended = finished(python("-c", code, cwd=folder))
    assert ended.out == "['CifarDistError', 'figures', 'load_model', 'train', 'tune'] set()\n"
    assert set(cifar_dist.__all__) <= set(dir(cifar_dist))
    with pytest.raises(AttributeError, match="nosuch"):
        cifar_dist.nosuch  # noqa: B018 - reading it is the test


@pytest.mark.cluster
@pytest.mark.example
def test_the_readmes_example_runs_as_it_stands(folder: Path) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)
    ended = finished(python("-c", block, cwd=folder, RAY_ADDRESS=None))
    assert (ended.code, ended.err) == (0, "")
    assert "validation_accuracy" in ended.out


def test_a_run_is_trained_once_and_given_back_in_silence(
    trained: TrainDocument, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert trained.state == "finished"
    assert train(make_job(store=trained.store)) == trained
    again = train(trained.job, fresh=True)
    assert again.run == f"{trained.run}-2"
    (tmp_path / "job.yaml").write_text(json.dumps(trained.job))
    assert train(tmp_path / "job.yaml").run == trained.run
    assert capfd.readouterr() == ("", "")


def test_bars_are_shown_on_stderr_when_they_are_asked_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train(make_job(store=str(tmp_path)), progress=True)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "epoch 2/2" in shown.err
    assert "validation" in shown.err


def test_ctrl_c_raises_once_all_is_committed_and_resuming_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(store=str(tmp_path), recipe__epochs=3)
    with monkeypatch.context() as patch:
        patch.setattr("cifar_dist.loop._TICK_SECONDS", 0.0)
        patch.setattr(
            "cifar_dist.api.notebook._RunBar.observe",
            lambda *_: signal.raise_signal(signal.SIGINT),
        )
        with pytest.raises(InterruptedRunError, match="is committed"):
            train(job)
    with pytest.raises(RefusedError, match="not finished"):
        train(job)
    assert len(train(job, resume=True).history) == 3


def test_off_the_main_thread_signals_are_left_alone(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with ThreadPoolExecutor() as pool, follower(None).stopping():
        assert signal.getsignal(signal.SIGINT) != before
        ours = signal.getsignal(signal.SIGINT)
        assert pool.submit(train, make_job(store=str(tmp_path))).result().state == "finished"
        assert signal.getsignal(signal.SIGINT) == ours
    assert signal.getsignal(signal.SIGINT) == before


def test_a_frame_has_a_row_per_epoch_and_per_trial() -> None:
    run = run_document()
    assert list(run.to_frame()["epoch"]) == [record.epoch for record in run.history]
    path = "recipe.optimizer.lr"
    trials = [
        trial(0, "finished", 1, parameters={}),
        trial(1, "finished", 1, parameters={path: 0.5}),
    ]
    job = {"recipe": {"optimizer": {"lr": 0.25}}}
    frame = sweep_document(trials=trials, space={"space": {path: {}}}, job=job).to_frame()
    assert list(frame[path]) == [0.25, 0.5]
    assert {"trial", "state", "epochs", "validation_accuracy"} <= set(frame.columns)


def test_without_pandas_a_frame_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match="needs pandas"):
        run_document().to_frame()


def test_a_model_is_the_same_from_the_store_and_from_a_fetched_folder(
    trained: TrainDocument, tmp_path: Path
) -> None:
    fetch(open_store(trained.store), trained.run, tmp_path / "copy")
    stored = weights(load_model(f"{trained.store}/runs/{trained.run}"))
    for place in (tmp_path / "copy", tmp_path / "copy" / "model.safetensors"):
        copied = weights(load_model(place))
        assert all(torch.equal(stored[name], copied[name]) for name in stored)


def test_a_fetched_model_that_changed_since_is_not_loaded(
    trained: TrainDocument, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    fetch(open_store(trained.store), trained.run, copy)
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedError):
        load_model(copy)
    (copy / "MANIFEST.json").unlink()
    with pytest.raises(RefusedError, match="cannot be verified"):
        load_model(copy)
    (copy / "run.json").unlink()
    with pytest.raises(DataError, match="not the job"):
        load_model(copy)


def test_an_architecture_is_built_by_its_name() -> None:
    weights(load_model("lenet5"))


@pytest.mark.parametrize(
    ("name", "pretrained", "sentence"),
    [
        ("lenet6", False, "did you mean 'lenet5'"),
        ("lenet6", True, "did you mean 'lenet5'"),
        ("resnet18_cam", True, "no weights of resnet18_cam come with the package"),
        ("file:///nowhere/lenet5", False, "names no model"),
        ("file:///nowhere/runs/a-00000000", False, "the store is empty"),
        ("gs://bucket/runs/a-00000000", False, "is not a kind of store"),
        ("file:///nowhere/runs/a-00000000", True, "leave pretrained out"),
    ],
)
def test_what_is_no_model_is_refused_in_a_sentence(
    name: str, pretrained: bool, sentence: str
) -> None:
    with pytest.raises(CifarDistError, match=sentence):
        load_model(name, pretrained=pretrained)


def test_packaged_weights_are_verified_by_what_stands_beside_them(
    trained: TrainDocument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(open_store(trained.store), trained.run, tmp_path / "copy")
    monkeypatch.setattr(models, "PACKAGED", tmp_path)
    assert trained.test is not None
    path = (tmp_path / "copy" / "model.safetensors").rename(tmp_path / "lenet5.safetensors")
    facts = WeightsDocument(
        **open_store(str(tmp_path)).digest(path.name)._asdict(),
        **trained.model_dump(include={"data", "provenance", "train_seconds", "validation"}),
        recipe=trained.job["recipe"],
        test=trained.test.score,
    )
    (tmp_path / "lenet5.json").write_text(facts.model_dump_json())
    assert models.pretrained_names() == ["lenet5"]
    weights(load_model("lenet5", pretrained=True))
    path.write_bytes(b"x")
    with pytest.raises(DamagedError):
        load_model("lenet5", pretrained=True)


@pytest.mark.parametrize("name", models.pretrained_names())
def test_each_packaged_model_loads(name: str) -> None:
    weights(load_model(name, pretrained=True))


def test_wrong_jobs_and_spaces_are_errors_of_this_package(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'epochs'"):
        train({"recipe": {"epoch": 3}})
    with pytest.raises(ConfigError, match="give one"):
        train({}, fresh=True, resume=True)
    with pytest.raises(ConfigError, match="neither a file nor a shipped"):
        train("nosuch")
    with pytest.raises(ConfigError, match="shipped search space"):
        tune("nosuch", store=tmp_path)
    with pytest.raises(ConfigError, match="not a kind of store"):
        tune("quickstart", store="gs://bucket")


def test_a_sweep_is_named_after_its_space_and_kept_in_the_store_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Space] = []

    def runs(space: Space, *_: object, **__: object) -> TuneDocument:
        asked.append(space)
        return sweep_document()

    monkeypatch.setattr("cifar_dist.api.sweep.run_sweep", runs)
    tune("learning_rate", store=tmp_path)
    assert asked[0].job.title == "learning-rate"
    assert asked[0].job.store == str(tmp_path)


def test_a_notebook_shows_the_figures_of_a_run(trained: TrainDocument) -> None:
    found = cifar_dist.figures(trained)
    assert {"confusion", "correct_cam", "curves", "film_9", "layers"} <= set(found)
    shown = {file.file: file._repr_mimebundle_() for file in found.values()}
    assert base64.b64decode(shown["confusion.png"]["image/png"]).startswith(b"\x89PNG")
    assert base64.b64decode(shown["film_9.gif"]["image/gif"]).startswith(b"GIF89a")
    assert "data" not in repr(found["curves"])
