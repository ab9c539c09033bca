"""README.md of exported weights: a model card, as model hubs show it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cifar_dist.config import dump_yaml
from cifar_dist.dataset.arrays import CLASSES
from cifar_dist.documents import DataFacts, ExportFormat, OnnxCheck, Provenance, Score
from cifar_dist.report.evaluation import interval
from cifar_dist.report.formats import DASH, decimal, percent, setting, thousands

_SPECIAL = re.compile(r"([\\`*_\[\]#|~<>&])")
_LIBRARY: dict[ExportFormat, str] = {
    "safetensors": "pytorch",
    "torch": "pytorch",
    "onnx": "onnx",
}
_LOADED: dict[ExportFormat, str] = {
    "safetensors": 'load_weights(model, Path("{file}"))',
    "torch": 'model.load_state_dict(torch.load("{file}", weights_only=True))',
}
_IMPORTED: dict[ExportFormat, str] = {
    "safetensors": "from pathlib import Path\n\nfrom cifar_dist.checkpoint import load_weights",
    "torch": "import torch\n",
}
_ASKED = (
    "CIFAR-10's own page names none for its images; it asks to cite A. Krizhevsky, Learning "
    "Multiple Layers of Features from Tiny Images, 2009."
)
_SHOWN = ("optimizer", "schedule", "augmentation", "batch_size", "label_smoothing", "averaging")


@dataclass(frozen=True)
class Card:
    """What is known of exported weights."""

    name: str
    format: ExportFormat
    file: str
    """The file of the weights."""
    recipe: Mapping[str, Any]
    parameters: int
    data: DataFacts
    provenance: Provenance | None
    scores: tuple[Score, ...]
    epoch: int | None
    check: OnnxCheck | None = None


def model_card(card: Card) -> str:
    """Write the card; names that come from outside are text in it, never markup."""
    model = card.recipe["model"]["name"]
    sections = [
        f"---\n{dump_yaml(_front(card, model)).rstrip()}\n---",
        f"# {plain(card.name)}",
        f"`{model}`, an image classifier of {thousands(card.parameters)} parameters, trained by "
        f"cifar-dist on {plain(card.data.source)}. It tells "
        f"{len(card.data.classes)} classes of 32×32 color images apart: "
        f"{', '.join(map(plain, card.data.classes))}.",
        f"## Accuracy\n\n{_accuracy(card)}",
        f"## Data and training\n\n{_table(['', ''], _facts(card).items())}",
        f"## Use\n\n{_use(card)}",
        f"## Limits\n\n{_limits(card)}",
    ]
    return "\n\n".join(sections) + "\n"


def plain(text: object) -> str:
    """Write any text so that Markdown and HTML show it as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split())).replace("\\<", "&lt;")


def _is_cifar10(card: Card) -> bool:
    return tuple(card.data.classes) == CLASSES


def _tags(card: Card) -> list[str]:
    return ["cifar-10"] if _is_cifar10(card) else []


def _front(card: Card, model: str) -> dict[str, Any]:
    front: dict[str, Any] = {
        "library_name": _LIBRARY[card.format],
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", *_tags(card), "cifar-dist", model],
        "metrics": ["accuracy"],
    }
    metrics = [
        {"type": "accuracy", "name": f"{score.split} accuracy", "value": round(score.accuracy, 6)}
        for score in card.scores
    ]
    if metrics:
        result = {
            "task": {"type": "image-classification"},
            "dataset": {
                "type": "cifar10" if _is_cifar10(card) else "imagefolder",
                "name": card.data.source,
            },
            "metrics": metrics,
        }
        front["model-index"] = [{"name": card.name, "results": [result]}]
    return front


def _accuracy(card: Card) -> str:
    if not card.scores:
        return "It was not evaluated."
    rows = []
    for score in card.scores:
        low, high = interval(score.correct, score.images)
        bounds = f"{percent(low)} to {percent(high)}"
        accuracy, images = percent(score.accuracy), thousands(score.images)
        rows.append((score.split, images, accuracy, bounds, decimal(score.loss)))
    return _table(["split", "images", "accuracy", "95 % interval (Wilson)", "loss"], rows)


def _facts(card: Card) -> dict[str, str]:
    recipe, data, made = card.recipe, card.data, card.provenance
    facts = {
        "data": f"{plain(data.source)}, SHA-256 `{data.sha256}`",
        "split": f"{thousands(data.train_images)} training, {thousands(data.validation_images)} "
        f"validation, {thousands(data.test_images)} test images",
        "seed": plain(recipe.get("seed", DASH)),
        "epochs": plain(recipe.get("epochs", DASH))
        + (f", weights of epoch {card.epoch}" if card.epoch else ""),
        **{name: plain(setting(recipe[name])) for name in _SHOWN if name in recipe},
    }
    if made is not None:
        facts |= {
            "code": f"cifar-dist {plain(made.code_version)}, revision "
            f"{plain(made.code_revision or DASH)}; torch {plain(made.torch)}",
            "hardware": f"{plain(made.device)}, {made.cpus} CPUs, workers: {made.workers}",
            "precision": plain(made.precision),
        }
    if card.check is not None:
        facts["ONNX graph"] = (
            f"logits within {card.check.max_difference:.2g} of PyTorch's on "
            f"{thousands(card.check.images)} validation images of {plain(card.check.source)}"
        )
    return facts


def _use(card: Card) -> str:
    if card.format == "onnx":
        return f"""Normalization is part of the graph: it takes float32 images of values 0 to 1.

```python
import json, pathlib, numpy, onnxruntime

labels = json.loads(pathlib.Path("labels.json").read_text("utf-8"))
session = onnxruntime.InferenceSession("{card.file}")
images = pixels.astype(numpy.float32) / 255  # pixels: uint8 [N, 3, 32, 32], RGB
(logits,) = session.run(["logits"], {{"images": images}})
print([labels[index] for index in logits.argmax(1)])
```"""
    model = dict(card.recipe["model"])
    return f"""`normalize` brings pixels to mean 0 and deviation 1 over CIFAR-10's training images.

```python
{_IMPORTED[card.format]}
from cifar_dist.data import normalize
from cifar_dist.models import MODELS

model = MODELS.build({model!r}).eval()
{_LOADED[card.format].format(file=card.file)}
logits = model(normalize(pixels))  # pixels: uint8 [N, 3, 32, 32], RGB
```"""


def _limits(card: Card) -> str:
    lines = [
        "It answers with one of its classes whatever a picture shows, and sees 32×32 pixels: "
        "larger pictures have to be cut to a square and averaged down.",
        "Its accuracy is that on images drawn like those it was trained on; on other photographs "
        "expect less.",
        "The interval counts the chance of the images alone, not that of another seed.",
        "Probabilities made of its logits are not calibrated.",
        "No license is stated: that is for whoever publishes the weights. "
        + (_ASKED if _is_cifar10(card) else "Look up that of the images too."),
    ]
    return "\n".join(f"- {line}" for line in lines)


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(header)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
