"""A film of a run: maps of one fixed image per class, kept after some epochs as small objects."""

import base64
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cifar_dist import seeds
from cifar_dist.data import Dataset, Images
from cifar_dist.documents import EpochRecord
from cifar_dist.errors import ConfigError, DamagedError
from cifar_dist.evidence import Film
from cifar_dist.explain import Explainer
from cifar_dist.runs import Run
from cifar_dist.runs.seal import read_sealed, sealed
from cifar_dist.store import MissingError

log = logging.getLogger(__name__)

_SCHEMA = "cifar-dist/film/1"
_FRAMES = 25
_MAX_BYTES = 2**20  # of a frame, which takes 15 kB at most
_NAME = re.compile(r"/film/(\d{6})-(\d{6})\.json$")


class Camera:
    """Takes a frame after the first, the last and at most 23 epochs between, evenly spread."""

    def __init__(self, dataset: Dataset, seed: int, epochs: int) -> None:
        self._images, self._indices = _cast(dataset, seed)
        self._is_blind = False
        self.epochs = {1 + round(n * (epochs - 1) / (_FRAMES - 1)) for n in range(_FRAMES)}

    def frame(
        self, attempt: int, record: EpochRecord, model: nn.Module
    ) -> tuple[str, Callable[[], bytes]] | None:
        """Give an epoch's frame: its name below the run, and its bytes as another thread's work.

        Training is not disturbed: no random number is drawn and no gradient is left. A model
        without a layer to map has no frames.
        """
        explainer = self._explainer(model) if record.epoch in self.epochs else None
        if explainer is None:
            return None
        maps, logits = explainer(self._images.pixels, self._images.labels)
        confidences, predicted = logits.double().softmax(1).max(1)
        document = {
            "schema": _SCHEMA,
            "epoch": record.epoch,
            "indices": self._indices.tolist(),
            "predicted": predicted.tolist(),
            "confidences": confidences.nan_to_num(0.0).tolist(),
            "layer": explainer.layer,
            "method": explainer.method,
            "shape": list(maps.shape),
            "maps": _encoded(maps),
        }
        return f"film/{attempt:06d}-{record.epoch:06d}.json", lambda: sealed(document)

    def _explainer(self, model: nn.Module) -> Explainer | None:
        if self._is_blind or not len(self._indices):
            return None
        try:
            return Explainer(model)
        except ConfigError as error:
            log.warning("no film is taken reason=%s", error)
            self._is_blind = True
            return None


def read_film(run: Run, dataset: Dataset, seed: int) -> Film | None:
    """Give the frames of a run in their order, None without any; a damaged one is left out."""
    images, indices = _cast(dataset, seed)
    frames = [frame for key in _keys(run) if (frame := _frame(run, key)) is not None]
    known = [frame for frame in frames if frame["indices"] == indices.tolist()]
    # All of one film are alike; a frame of another program's version is not.
    alike = [f for f in known if all(f[k] == known[-1][k] for k in ("shape", "layer", "method"))]
    if not alike:
        return None
    return Film(
        epochs=tuple(frame["epoch"] for frame in alike),
        maps=np.stack([_decoded(frame) for frame in alike]),
        predicted=np.array([frame["predicted"] for frame in alike], np.int64),
        confidences=np.array([frame["confidences"] for frame in alike], np.float64),
        images=images.pixels.numpy(),
        layer=str(alike[-1]["layer"]),
        method=str(alike[-1]["method"]),
    )


def _cast(dataset: Dataset, seed: int) -> tuple[Images, Tensor]:
    """Choose an image of each class, of the validation split where there is one."""
    images = dataset.validation or dataset.train
    generator = torch.Generator().manual_seed(seeds.derive(seed, "film"))
    members = [(images.labels == label).nonzero()[:, 0] for label in range(len(dataset.classes))]
    if not all(map(len, members)):
        members = []
    drawn = [int(own[torch.randint(len(own), (), generator=generator)]) for own in members]
    indices = torch.tensor(drawn, dtype=torch.int64)
    return images.select(indices), indices


def _keys(run: Run) -> list[str]:
    """List the newest attempt's frame of each epoch, in their order."""
    newest: dict[int, tuple[int, str]] = {}
    for entry in run.store.entries(run.key("film")):
        if found := _NAME.search(entry.key):
            attempt, epoch = int(found[1]), int(found[2])
            newest[epoch] = max(newest.get(epoch, (0, "")), (attempt, entry.key))
    return [newest[epoch][1] for epoch in sorted(newest)]


def _frame(run: Run, key: str) -> Mapping[str, Any] | None:
    try:
        document = read_sealed(run.store, key, _MAX_BYTES)
    except (MissingError, DamagedError) as error:
        log.warning("a frame was left out key=%s reason=%s", key, error)
        return None
    return document if document.get("schema") == _SCHEMA else None


def _encoded(maps: Tensor) -> str:
    levels = (maps * 255).round().to(torch.uint8).cpu().numpy()
    return base64.b64encode(levels.tobytes()).decode()


def _decoded(frame: Mapping[str, Any]) -> NDArray[np.float32]:
    levels = np.frombuffer(base64.b64decode(frame["maps"]), np.uint8)
    return (levels.reshape(frame["shape"]) / 255).astype(np.float32)
