"""Models as plain torch modules: from a run, a sweep's winner, a fetched folder or the package."""

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cifar_dist.errors import ConfigError, DataError
from cifar_dist.problems import shown

if TYPE_CHECKING:
    from torch import nn

    from cifar_dist.config import Component

PACKAGED = Path(__file__).parents[1] / "weights"
_WEIGHTS = "model.safetensors"  # as in `checkpoint`, which loads torch


def load_model(uri_or_name: str | os.PathLike[str], *, pretrained: bool = False) -> "nn.Module":
    """Give a model in eval mode, on the CPU: it maps normalized images [N, 3, 32, 32] to logits.

    A run or a sweep's winner is named by its store's URI and `/runs/ID` or `/sweeps/ID`, or by the
    folder that `artifacts get` made; every byte of it is verified. An architecture's name gives
    its initial weights, with `pretrained` the packaged ones. `cifar_dist.data.normalize` makes
    images of uint8 pixels. Raises CifarDistError.
    """
    name = os.fspath(uri_or_name)
    folder = fetched(name)
    if folder is None and "/" not in name:
        return _packaged(name) if pretrained else _built(_component({"name": name}))
    if pretrained:
        raise ConfigError(f"{shown(name)} names weights of its own; leave pretrained out")
    return _from_store(name) if folder is None else _from_folder(folder)


def fetched(name: str) -> Path | None:
    """Give the folder with fetched weights that a path names, or names a file of; else None."""
    folder = Path(name).parent if name.endswith(".safetensors") else Path(name)
    return folder if (folder / _WEIGHTS).is_file() else None


def pretrained_names() -> list[str]:
    """List the architectures whose weights come with the package."""
    return sorted(path.stem for path in PACKAGED.glob("*.safetensors"))


def _from_store(address: str) -> "nn.Module":
    from cifar_dist.runs import fetch_model
    from cifar_dist.store import open_store

    head, _, name = address.rstrip("/").rpartition("/")
    uri, _, kind = head.rpartition("/")
    if kind not in ("runs", "sweeps"):
        raise ConfigError(
            f"{shown(address)} names no model; give STORE/runs/ID, STORE/sweeps/ID, the folder of "
            "`cifar-dist artifacts get`, or an architecture's name"
        )
    with tempfile.TemporaryDirectory(prefix="cifar-dist-") as scratch:
        fetch_model(open_store(uri), name, Path(scratch, "copy"))
        return _from_folder(Path(scratch, "copy"))


def _from_folder(folder: Path) -> "nn.Module":
    from cifar_dist.runs import copy_verified

    try:
        if (folder / "sweep.json").exists():
            job = json.loads((folder / "result.json").read_bytes())["best_job"]
        else:
            job = json.loads((folder / "run.json").read_bytes())["job"]
        component = _component(job["recipe"]["model"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder} holds weights but not the job that they belong to; fetch it again with "
            "`cifar-dist artifacts get`"
        ) from error
    with tempfile.TemporaryDirectory(prefix="cifar-dist-") as scratch:
        path = Path(scratch, _WEIGHTS)
        copy_verified(folder, path.name, path)
        return _built(component, path)


def _packaged(name: str) -> "nn.Module":
    from cifar_dist.documents import WeightsDocument
    from cifar_dist.store import Content, open_store

    _component({"name": name})
    if name not in (there := pretrained_names()):
        raise ConfigError(
            f"no weights of {name} come with the package, only {', '.join(there) or 'nothing'}; "
            f"train it, as with `cifar-dist train --model {name}`"
        )
    facts = WeightsDocument.model_validate_json((PACKAGED / f"{name}.json").read_bytes())
    with tempfile.TemporaryDirectory(prefix="cifar-dist-") as scratch:
        path = Path(scratch, f"{name}.safetensors")
        open_store(str(PACKAGED)).download(path.name, path, Content(facts.bytes, facts.sha256))
        return _built(_component(facts.recipe["model"]), path)


def _component(data: dict[str, Any]) -> "Component":
    """Check a model's name and options without torch. Raises ConfigError."""
    from cifar_dist.config import parse_job

    return parse_job({"recipe": {"model": data}}).recipe.model


def _built(component: "Component", weights: Path | None = None) -> "nn.Module":
    from cifar_dist.checkpoint import load_weights
    from cifar_dist.learner import build_model

    model = build_model(component, seed=0)
    if weights is not None:
        load_weights(model, weights)
    return model.eval()
