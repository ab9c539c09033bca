"""What a checkpoint holds: a learner's state copied to host memory, and its files."""

import json
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cifar_dist.containers import stored_names
from cifar_dist.documents import EpochRecord
from cifar_dist.errors import DamagedError, StoreError
from cifar_dist.store.disk import check_room

WEIGHTS, STATE, HISTORY = "model.safetensors", "state.pt", "history.json"
_LENGTH_BYTES = 8  # in front of a safetensors header
_MAX_HEADER_BYTES = 2**20  # some 100 for each tensor
_UNREADABLE = (
    UnpicklingError, RuntimeError, TypeError, LookupError, AttributeError, EOFError, OverflowError,
    MemoryError, ArithmeticError, AssertionError, NotImplementedError, SyntaxError, ImportError,
)  # fmt: skip


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

    Raises ValueError for files of something else, of which nothing is run, and OSError.
    """
    if any(name.endswith("/constants.pkl") for name in stored_names(folder / STATE)):
        raise ValueError("it is a TorchScript archive, which is a program")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a broken file makes torch show what is deprecated
            state = torch.load(folder / STATE, map_location=device, weights_only=True)
    except _UNREADABLE as error:
        # Torch's own text is a page on how to load it all the same.
        raise ValueError(
            f"it is no state of tensors and numbers, {type(error).__name__}"
        ) from error
    records = json.loads((folder / HISTORY).read_text("utf-8"))
    return state, [EpochRecord.model_validate(record) for record in records]


def load_weights(model: nn.Module, path: Path) -> None:
    """Load safetensors into a model of the same architecture. Raises DamagedError."""
    try:
        _check_claims(path, sum(map(_bytes, model.state_dict().values())))
        model.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, ValueError, OSError) as error:
        raise DamagedError(f"{path} does not fit this model ({_reason(error)})") from error


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a model's weights as safetensors, byte for byte as a snapshot of it does."""
    save_file({name: _dense(tensor) for name, tensor in model.state_dict().items()}, path)


def _check_claims(path: Path, data_bytes: int) -> None:
    """Raise ValueError for a file that is longer than its header and the weights of a model.

    It may be shorter: packaged weights are of half precision.
    """
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if header_bytes > _MAX_HEADER_BYTES:
        raise ValueError(f"its header claims {header_bytes:,} bytes")
    found = path.stat().st_size - _LENGTH_BYTES - header_bytes
    if found > data_bytes:
        raise ValueError(f"it has {found:,} bytes of weights, the model {data_bytes:,}")


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
