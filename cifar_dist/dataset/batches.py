"""The pickled batches of the official archive, read without building any object that they name.

Every other module is forbidden to unpickle. Callers check a batch's sum first; what stands here
would also hold for a batch that nobody checked.
"""

import io
import pickle
import pickletools
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cifar_dist.dataset.arrays import CLASSES, SIDE
from cifar_dist.errors import DataError

_ROW_BYTES = 3 * SIDE * SIDE
_MAX_MEMO = 1_000_000  # a batch remembers some 30,000 objects; the reader allocates up to the index
_BROKEN = (
    pickle.UnpicklingError, ValueError, TypeError, LookupError, EOFError, AttributeError,
    OverflowError, MemoryError, RecursionError,
)  # fmt: skip


def read_batch(content: bytes, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Give pixels [n, 3, 32, 32] and labels [n] of one batch. Raises DataError."""
    batch = _unpickled(content, name)
    array, labels = batch.get(b"data"), batch.get(b"labels")
    if not isinstance(array, _Array):
        raise _refused(name, "it holds no array of pixels")
    if not isinstance(labels, list) or any(type(label) is not int for label in labels):
        raise _refused(name, "its labels are not a list of whole numbers")
    if not labels or not all(0 <= label < len(CLASSES) for label in labels):
        raise _refused(name, f"its labels are not 0 to {len(CLASSES) - 1}")
    pixels = array.pixels(len(labels), name)
    return pixels.reshape(-1, 3, SIDE, SIDE), np.array(labels, dtype=np.int64)


def read_class_names(content: bytes, name: str) -> tuple[str, ...]:
    """Give the names of the classes in the order of their labels. Raises DataError."""
    names = _unpickled(content, name).get(b"label_names")
    if names != [known.encode() for known in CLASSES]:
        raise _refused(name, f"its class names are not {', '.join(CLASSES)}")
    return CLASSES


class _Array:
    """Stands in for a numpy array: it keeps the state that the pickle gives it, as plain data."""

    def __init__(self, *_: object) -> None:
        self._state: Any = None

    def __setstate__(self, state: object) -> None:
        self._state = state

    def pixels(self, rows: int, name: str) -> NDArray[np.uint8]:
        """Give the rows that the state describes."""
        # The state is (version, shape, type, whether it lies in columns, bytes).
        match self._state:
            case (_, (int(n), int(width)), _Type() as kind, int(in_columns), bytes(content)):
                if (n, width) != (rows, _ROW_BYTES) or len(content) != rows * _ROW_BYTES:
                    raise _refused(name, f"its pixels are [{n}, {width}], not [{rows}, 3072]")
                if kind.code != b"u1":
                    raise _refused(name, f"its pixels are of type {kind.code!a}, not uint8")
                order: Literal["F", "C"] = "F" if in_columns else "C"
                return np.frombuffer(content, dtype=np.uint8).reshape((n, width), order=order)
        raise _refused(name, "its pixels are not one array of numbers")


class _Type:
    """Stands in for a numpy type."""

    def __init__(self, code: object = None, *_: object) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None:
        """Pass over byte order and fields, which a uint8 does not have."""


def _array_class() -> None:
    """Stand in for numpy's array class, which is only passed on."""


_STAND_INS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _array_class,
    ("numpy", "dtype"): _Type,
}


class _Unpickler(pickle.Unpickler):
    """Knows three names, and gives a stand-in for each."""

    def __init__(self, content: bytes, name: str) -> None:
        # Bytes, as the archive was written by Python 2, whose strings were bytes.
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._name = name

    def find_class(self, module: str, name: str, /) -> Callable[..., Any]:
        """Give a stand-in; raises DataError for any other name."""
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise _refused(self._name, f"it names {f'{module}.{name}'!a}") from None


def _unpickled(content: bytes, name: str) -> dict[bytes, Any]:
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if "PUT" in opcode.name and argument is not None and int(argument) > _MAX_MEMO:
                raise _refused(name, f"it remembers object {argument}")
        batch = _Unpickler(content, name).load()
    except _BROKEN as error:
        raise _refused(name, f"it cannot be read ({type(error).__name__})") from error
    if not isinstance(batch, dict):
        raise _refused(name, "it is not a dictionary")
    return batch


def _refused(name: str, reason: str) -> DataError:
    return DataError(
        f"{name} is not a batch of CIFAR-10: {reason}; nothing in it was run, fetch it again"
    )
