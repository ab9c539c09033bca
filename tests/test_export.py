"""Exported weights: usable as their card says, equal to those that are kept, never in the way."""

import copy
import io
import json
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cifar_dist.api.export import export, export_format
from cifar_dist.api.origin import Origin, origin
from cifar_dist.config import parse_yaml
from cifar_dist.data import Dataset
from cifar_dist.dataset.arrays import CLASSES
from cifar_dist.documents import ExportDocument
from cifar_dist.errors import ConfigError, RefusedError, RunError
from cifar_dist.report.model_card import plain
from cifar_dist.runs import fetch
from cifar_dist.store import Store, open_store
from tests.commands import Program, document, listed
from tests.kept_runs import keep_run, keep_sweep
from tests.result_documents import evaluated, facts
from tests.tiny import pictures

PIXELS = pictures(4).pixels
HOSTILE = "</td><script>alert(1)</script> | [x](javascript:1) `code`"
RUN = "a-00000000"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    opened = open_store(str(tmp_path_factory.mktemp("export") / "store"))
    keep_run(opened, RUN, parameters=62006)
    keep_sweep(opened, "s-00000000")
    return opened


@pytest.fixture(scope="module")
def found(store: Store) -> Origin:
    return origin(RUN, store.uri)


@pytest.fixture(scope="module")
def onnx(found: Origin, tmp_path_factory: pytest.TempPathFactory) -> tuple[ExportDocument, Path]:
    folder, said = tmp_path_factory.mktemp("onnx") / "exported", io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        exported = export(found, "onnx", folder)
    assert said.getvalue() == ""
    return exported, folder


def expected(found: Origin) -> torch.Tensor:
    """Give the logits of the model itself."""
    from cifar_dist.data import normalize

    with torch.inference_mode():
        return found.model(normalize(PIXELS))


def followed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the card's example in the folder; gives its logits."""
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)
    is_graph = (folder / "model.onnx").exists()
    names: dict[str, Any] = {"pixels": PIXELS.numpy() if is_graph else PIXELS, "print": str}
    monkeypatch.chdir(folder)
    exec(code, names)
    return torch.as_tensor(names["logits"]).detach()


@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_weights_are_loaded_as_their_card_says(
    kind: Any, found: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = export(found, kind, tmp_path / "out")
    assert [row.key for row in exported.files] == sorted(listed(tmp_path / "out"))
    assert torch.equal(followed(tmp_path / "out", monkeypatch), expected(found))
    assert json.loads((tmp_path / "out" / "labels.json").read_text()) == list(CLASSES)


def test_safetensors_are_the_kept_bytes(found: Origin, store: Store, tmp_path: Path) -> None:
    from cifar_dist.runs import best_files

    exported = export(found, "safetensors", tmp_path / "out")
    kept = {row.key.rpartition("/")[2]: row.sha256 for row in best_files(store, RUN)}
    written = {row.key: row.sha256 for row in exported.files}
    assert written["model.safetensors"] == kept["model.safetensors"]


@pytest.mark.parametrize("name", ["README.md", "model.onnx"])
def test_an_onnx_graph_agrees_with_the_model(
    name: str, onnx: tuple[ExportDocument, Path], found: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported, folder = onnx
    check = exported.check
    assert check is not None
    assert (check.source, check.images, check.disagreements) == ("sample", 1000, 0)
    assert check.max_difference < 1e-4
    assert torch.allclose(followed(folder, monkeypatch), expected(found), atol=1e-4)
    assert str(Path(__file__).parents[1]).encode() not in (folder / name).read_bytes()


def test_an_onnx_graph_takes_any_number_of_images(onnx: tuple[ExportDocument, Path]) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(onnx[1] / "model.onnx"))
    for count in (1, 7):
        images = np.zeros((count, 3, 32, 32), np.float32)
        (logits,) = session.run(["logits"], {"images": images})
        assert logits.shape == (count, 10)


@pytest.fixture
def _made(onnx: tuple[ExportDocument, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    graph, name = (onnx[1] / "model.onnx").read_bytes(), "cifar_dist.api.export._write_graph"
    monkeypatch.setattr(name, lambda model, path: path.write_bytes(graph))


@pytest.mark.usefixtures("_made")
def test_a_graph_is_compared_on_its_models_own_images_where_they_are(
    found: Origin, tiny_data: Dataset, tmp_path: Path
) -> None:
    check = export(replace(found, data=tiny_data.facts()), "onnx", tmp_path / "out").check
    assert check is not None
    assert (check.source, check.images, check.disagreements) == ("synthetic", 200, 0)


@pytest.mark.usefixtures("_made")
def test_a_graph_that_differs_is_not_exported(
    found: Origin, tiny_data: Dataset, tmp_path: Path
) -> None:
    other = replace(found, model=copy.deepcopy(found.model), data=tiny_data.facts())
    with torch.no_grad():
        next(other.model.parameters()).add_(1.0)
    with pytest.raises(RunError, match="away from PyTorch's"):
        export(other, "onnx", tmp_path / "other")
    assert listed(tmp_path) == []


def test_the_command_exports_once(store: Store, program: Program, folder: Path) -> None:
    line = ["artifacts", "export", RUN, "--store", store.uri]
    ended = program(*line, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert document("export", ended.out)["folder"] == str(folder / f"{RUN}-safetensors")
    assert program(*line).code == 5
    assert "model.safetensors" in program(*line, "--output", "other").out


def test_a_card_states_data_split_seed_accuracy_and_interval(found: Origin, tmp_path: Path) -> None:
    export(found, "torch", tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    front_matter: Any = parse_yaml(front, "card")
    (result,) = front_matter["model-index"][0]["results"]
    assert result["metrics"][1]["value"] == pytest.approx(23 / 30, abs=1e-6)
    assert front_matter["library_name"] == "pytorch"
    assert "| test | 30 | 76.67 % | 59.07 % to 88.21 % | 0.7500 |" in body
    for fact in ("d" * 64, "270 training", "| seed | 0 |", "weights of epoch 2", "62,006"):
        assert fact in body


@pytest.mark.parametrize("names", [[*CLASSES], ["cat", "dog", "ship"]])
def test_a_card_speaks_of_cifar_10_only_if_the_classes_are_its_own(
    names: list[str], found: Origin, tmp_path: Path
) -> None:
    export(replace(found, data=facts(names)), "torch", tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    for words in (" cifar-10, ", "type: cifar10", "CIFAR-10's own page"):
        assert (words in text) == (names == [*CLASSES])


def test_the_folder_where_one_stands_is_exported_into_a_folder_in_it(
    store: Store, program: Program, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(store, RUN, folder / "copy")
    monkeypatch.chdir(folder / "copy")
    assert program("artifacts", "export", ".").code == 0
    assert (folder / "copy" / "copy-safetensors" / "model.safetensors").is_file()


def test_a_name_is_text_in_a_card(store: Store, tmp_path: Path) -> None:
    name = "b-00000000"
    classes = [HOSTILE, *CLASSES[1:]]
    keep_run(store, name, data=facts(classes).model_copy(update={"source": HOSTILE}))
    export(origin(name, store.uri), "torch", tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    assert "<script>" not in text.split("---\n", 2)[2]
    assert plain(HOSTILE) in text
    assert plain("a|b\n# c") == "a\\|b \\# c"


def test_a_sweeps_winner_and_packaged_weights_are_origins_too(store: Store) -> None:
    winner = origin("s-00000000", store.uri)
    assert (winner.name, winner.epoch) == ("s-00000000", 4)
    assert winner.test == evaluated().score
    assert origin(f"{store.uri}/sweeps/s-00000000", "elsewhere").name == "s-00000000"
    packaged = origin("speednet", "elsewhere")
    assert packaged.data.train_images == 45000 and packaged.test is not None


def test_a_fetched_folder_is_an_origin(store: Store, tmp_path: Path) -> None:
    fetch(store, RUN, tmp_path / "copy")
    assert origin(str(tmp_path / "copy"), "elsewhere").name == RUN
    (tmp_path / "copy" / "result.json").unlink()
    unfinished = origin(str(tmp_path / "copy" / "model.safetensors"), "elsewhere")
    assert (unfinished.name, unfinished.test) == (RUN, None)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("a-00000001", "did you mean 'a-00000000'"), ("x/y/z", "names no model")],
)
def test_what_is_no_origin_is_refused(name: str, sentence: str, store: Store) -> None:
    with pytest.raises(ConfigError, match=sentence):
        origin(name, store.uri)


def test_what_is_asked_for_is_checked_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert export_format("torch", tmp_path / "new") == "torch"
    with pytest.raises(RefusedError, match="exists"):
        export_format("torch", tmp_path)
    with pytest.raises(ConfigError, match="did you mean 'onnx'"):
        export_format("onx", tmp_path / "new")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=re.escape("pip install 'cifar-dist[onnx]'")):
        export_format("onnx", tmp_path / "new")
