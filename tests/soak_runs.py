"""What a killed run left in its store: one hash of all that was learned, its steps and attempts."""

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from cifar_dist.checkpoint import HISTORY, STATE, WEIGHTS
from cifar_dist.runs import Run
from cifar_dist.runs.attempts import survey
from cifar_dist.runs.seal import read_sealed
from cifar_dist.store import open_store

_STEP = re.compile(r"/attempts/(\d{6})/step-(\d{12})/")
_MEASURED = {"seconds"}  # of the clock, not of what is learned


def name_in(store: str, kind: str = "runs") -> str | None:
    """Give the name of the one run or sweep in a store, or None."""
    names = open_store(store).folders(kind)
    return names[0] if names else None


def run_in(store: str) -> Run:
    """Give the one run in a store."""
    (name,) = open_store(store).folders("runs")
    return Run(open_store(store), f"runs/{name}")


def newest_step(store: str) -> int:
    """Give the step of the newest checkpoint that a run would resume from; 0 without one."""
    name = name_in(store)
    keys = survey(open_store(store), f"runs/{name}")[1] if name else []
    found = _STEP.search(keys[0]) if keys else None
    return int(found[2]) if found else 0


def attempts(run: Run) -> list[int]:
    """Give the numbers of all attempts, in the order of their claims' times."""
    claims = [
        (entry.modified, int(entry.key[-11:-5]))
        for entry in run.store.entries(run.key("attempts"))
        if entry.key.count("/") == run.prefix.count("/") + 2
    ]
    return [number for _, number in sorted(claims)]


def bases(run: Run) -> list[int]:
    """Give the step from which each attempt but the first went on."""
    claims = [read_sealed(run.store, run.key(f"attempts/{n:06d}.json")) for n in attempts(run)[1:]]
    found = [_STEP.search(claim["base"] or "") for claim in claims]
    return [int(step[2]) if step else 0 for step in found]


def learned(run: Run) -> str:
    """Hash the newest checkpoint: weights, buffers, optimizer, position and scores, by name."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "checkpoint"
        assert run.latest_intact(folder) is not None
        state = torch.load(folder / STATE, weights_only=True)
        history = json.loads((folder / HISTORY).read_text("utf-8"))
        scores = [
            {key: epoch[key] for key in ("epoch", "validation_loss", "validation_accuracy", "lr")}
            for epoch in history
        ]
        everything = {"weights": load_file(folder / WEIGHTS), "state": state, "scores": scores}
        digest = hashlib.sha256()
        for part in _flat("", everything):
            digest.update(part)
    return digest.hexdigest()


def _flat(name: str, value: Any) -> Iterator[bytes]:
    if isinstance(value, dict):
        for key in sorted(value.keys() - _MEASURED, key=str):
            yield from _flat(f"{name}/{key}", value[key])
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _flat(f"{name}/{index}", item)
    elif isinstance(value, Tensor):
        yield f"{name} {value.dtype} {tuple(value.shape)} ".encode()
        yield value.contiguous().flatten().view(torch.uint8).numpy().tobytes()
    else:
        yield f"{name} {value!r} ".encode()
