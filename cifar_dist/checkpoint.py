"""What a checkpoint holds: a learner's state copied to host memory, and its files."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cifar_dist.documents import EpochRecord
from cifar_dist.errors import DamagedError, StoreError
from cifar_dist.store.disk import check_room

WEIGHTS, STATE, HISTORY = "model.safetensors", "state.pt", "history.json"


@dataclass(frozen=True)
class Snapshot:
    """A learner as it stood at one step, in host memory that nobody else writes to."""

    weights: dict[str, Tensor]
    state: dict[str, Any]
    """The optimizer, the position within the epoch and, beside an average, the trained weights."""
    history: list[dict[str, Any]]

    @classmethod
    def of(
        cls, model: nn.Module, state: dict[str, Any], history: Sequence[EpochRecord]
    ) -> "Snapshot":
        """Copy a model's weights and a state of tensors and plain values."""
        weights = {name: _dense(tensor) for name, tensor in model.state_dict().items()}
        return cls(weights, _copied(state), [record.model_dump(mode="json") for record in history])

    @property
    def size_bytes(self) -> int:
        """What its files take, within a few per cent."""
        return sum(map(_bytes, (self.weights, self.state)))

    def write(self, folder: Path) -> None:
        """Write its files into an existing folder, or none of them.

        Raises StoreError if the disk lacks twice their room or fails.
        """
        check_room(folder, 2 * self.size_bytes)
        try:
            save_file(self.weights, folder / WEIGHTS)
            torch.save(self.state, folder / STATE)
            (folder / HISTORY).write_text(json.dumps(self.history), "utf-8")
        except (OSError, RuntimeError, SafetensorError) as error:
            for name in (WEIGHTS, STATE, HISTORY):
                (folder / name).unlink(missing_ok=True)
            free = shutil.disk_usage(folder).free
            raise StoreError(
                f"cannot write a checkpoint of {self.size_bytes:,} bytes into {folder}: "
                f"{_reason(error)} ({free:,} bytes are free); make room there, or set TMPDIR to "
                "another folder, and go on with `cifar-dist resume`"
            ) from error


def load_state(folder: Path, device: torch.device) -> tuple[dict[str, Any], list[EpochRecord]]:
    """Read what `write` kept beside the weights; the files must be verified.

    Raises what torch and pydantic raise for files of something else.
    """
    state = torch.load(folder / STATE, map_location=device, weights_only=True)
    records = json.loads((folder / HISTORY).read_text("utf-8"))
    return state, [EpochRecord.model_validate(record) for record in records]


def load_weights(model: nn.Module, path: Path) -> None:
    """Load safetensors into a model of the same architecture. Raises DamagedError."""
    try:
        model.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise DamagedError(f"{path} does not fit this model ({_reason(error)})") from error


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a model's weights as safetensors, byte for byte as a snapshot of it does."""
    save_file({name: _dense(tensor) for name, tensor in model.state_dict().items()}, path)


def _dense(tensor: Tensor) -> Tensor:
    # One pass, from any device and layout to the layout of plain torch.
    return torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.detach())


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        # In the layout it has: a vectorized kernel may round other than a plain one.
        return torch.empty_like(value, device="cpu").copy_(value.detach())
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_copied, value))
    return value


def _bytes(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, dict):
        return sum(map(_bytes, value.values()))
    return sum(map(_bytes, value)) if isinstance(value, list | tuple) else 0


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).partition("\n")[0]
