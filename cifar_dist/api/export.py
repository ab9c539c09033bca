"""Weights for other programs: as safetensors, a state dict or an ONNX graph, with a model card."""

import json
import tempfile
import warnings
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from cifar_dist.api.origin import Origin
from cifar_dist.documents import (
    ArtifactRow,
    ExportDocument,
    ExportFormat,
    OnnxCheck,
)
from cifar_dist.errors import CifarDistError, ConfigError, RefusedError, RunError
from cifar_dist.problems import legible, nearest, shown

if TYPE_CHECKING:
    from torch import nn

    from cifar_dist.data import Images

_FILES: dict[ExportFormat, str] = {
    "safetensors": "model.safetensors",
    "torch": "model.pt",
    "onnx": "model.onnx",
}
_EXTRA = ("onnx", "onnxscript", "onnxruntime")
_CHECKED = 1000  # images
_TOLERANCE = 1e-3  # of a logit
_FALLBACK = "sample"  # comes with the package


def export_format(name: str, folder: Path) -> ExportFormat:
    """Check what is asked for without torch. Raises ConfigError, RefusedError."""
    for known in get_args(ExportFormat):
        if name == known:
            break
    else:
        valid = nearest(name, get_args(ExportFormat))
        raise ConfigError(f"--format {shown(name)} is not a format of weights; {valid}")
    if name == "onnx" and (missing := [part for part in _EXTRA if find_spec(part) is None]):
        raise ConfigError(
            f"--format onnx needs {' and '.join(missing)}; install with "
            "`pip install 'cifar-dist[onnx]'`"
        )
    if folder.exists():
        raise RefusedError(f"{folder} exists; remove it or choose another --output")
    found: ExportFormat = known
    return found


def export(origin: Origin, kind: ExportFormat, folder: Path) -> ExportDocument:
    """Write weights, labels and a model card into a new folder. Raises RefusedError, RunError."""
    from cifar_dist.store.disk import reported

    with reported(str(folder)):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as staged:
            place = Path(staged, "new")
            place.mkdir()
            check = _write_weights(origin, kind, place / _FILES[kind])
            labels = json.dumps(origin.data.classes, indent=2, ensure_ascii=False)
            (place / "labels.json").write_text(f"{labels}\n", "utf-8")
            (place / "README.md").write_text(_card(origin, kind, check), "utf-8")
            files = _rows(place)
            place.rename(folder)
    return ExportDocument(
        model=origin.name,
        format=kind,
        folder=legible(folder.absolute()),
        files=files,
        check=check,
    )


def _write_weights(origin: Origin, kind: ExportFormat, path: Path) -> OnnxCheck | None:
    import torch

    from cifar_dist.checkpoint import Snapshot, save_weights

    if kind == "onnx":
        return _write_onnx(origin, path)
    if kind == "torch":
        torch.save(Snapshot.of(origin.model, {}, []).weights, path)
    else:
        save_weights(origin.model, path)
    return None


def _write_onnx(origin: Origin, path: Path) -> OnnxCheck:
    model = _normalizing(origin.model)
    _write_graph(model, path)
    return _checked(model, path, origin)


def _write_graph(model: "nn.Module", path: Path) -> None:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about its own parts, in 2.11
        program: Any = torch.onnx.export(
            model,
            (torch.zeros(2, 3, 32, 32),),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            dynamo=True,
            verbose=False,
        )
    for node in program.model.graph:
        node.metadata_props.clear()  # the exporter's notes name the paths of this machine
    program.save(str(path), external_data=False)


def _normalizing(model: "nn.Module") -> "nn.Module":
    import torch
    from torch import Tensor, nn

    from cifar_dist.data import MEAN, STD

    class Normalizing(nn.Module):
        """A model of images whose values are 0 to 1."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.mean = nn.Buffer(torch.tensor(MEAN).view(3, 1, 1))
            self.std = nn.Buffer(torch.tensor(STD).view(3, 1, 1))

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.model((images - self.mean) / self.std)
            return logits

    return Normalizing().eval()


def _checked(model: "nn.Module", path: Path, origin: Origin) -> OnnxCheck:
    import numpy as np
    import torch

    onnxruntime: Any = import_module("onnxruntime")  # of an extra, and untyped
    source, images = _validation(origin)
    pixels = images.pixels[:_CHECKED].float() / 255
    with torch.inference_mode():
        expected = model(pixels).numpy()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], {"images": pixels.numpy()})
    check = OnnxCheck(
        source=source,
        images=len(pixels),
        max_difference=float(np.abs(found - expected).max()),
        disagreements=int((found.argmax(1) != expected.argmax(1)).sum()),
        onnxruntime=version("onnxruntime"),
    )
    if not check.max_difference <= _TOLERANCE:
        raise RunError(
            f"the ONNX graph of {origin.name} gives logits up to {check.max_difference:.2g} away "
            "from PyTorch's; nothing was written, use --format safetensors"
        )
    return check


def _validation(origin: Origin) -> "tuple[str, Images]":
    """Open the validation images that belong to a model, or those of the sample."""
    from cifar_dist.api.evaluate import opened
    from cifar_dist.dataset import open_dataset

    with suppress(CifarDistError):  # they need not be on this machine
        own = opened(origin)
        if own.validation is not None:
            return own.source, own.validation
    sample = open_dataset(_FALLBACK, validation_fraction=0.1, seed=0)
    return sample.source, cast("Images", sample.validation)  # a tenth of it


def _card(origin: Origin, kind: ExportFormat, check: OnnxCheck | None) -> str:
    from cifar_dist.report.model_card import Card, model_card

    return model_card(
        Card(
            name=origin.name,
            format=kind,
            file=_FILES[kind],
            recipe=origin.recipe,
            parameters=sum(parameter.numel() for parameter in origin.model.parameters()),
            data=origin.data,
            provenance=origin.provenance,
            scores=tuple(filter(None, (origin.validation, origin.test))),
            epoch=origin.epoch,
            check=check,
        )
    )


def _rows(folder: Path) -> list[ArtifactRow]:
    from cifar_dist.store.disk import chunks, copy

    rows = []
    for path in sorted(folder.iterdir()):
        content = copy(chunks(path), len)
        rows.append(ArtifactRow(key=path.name, bytes=content.bytes, sha256=content.sha256))
    return rows
