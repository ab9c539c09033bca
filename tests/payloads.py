"""Files that would run code, or write where they should not, if they were read carelessly.

Each is built for a canary: a file that appears if anything in it is run.
"""

import hashlib
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cifar_dist.runs.manifest import NAME
from cifar_dist.runs.seal import sealed

Payload = Callable[[Path], bytes]
_PROTOCOL = 2  # torch's own


class Runs:
    """What a pickle of it does: it calls a function with the canary's path."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """Tell pickle what to call as it is loaded."""
        return self._call


def _system(canary: Path) -> object:
    return Runs(os.system, f"touch {canary}")


def _eval(canary: Path) -> object:
    return Runs(eval, f"open({str(canary)!r}, 'w').close()")


def _partial(canary: Path) -> object:
    return Runs(partial(os.system, f"touch {canary}"))


def _numpy_objects(canary: Path) -> object:
    return np.array([_system(canary)], object)


def _nested(canary: Path) -> object:
    inner = OrderedDict(momentum_buffer=[(_eval(canary),)])
    return {"optimizer": {"state": {0: inner}, "param_groups": []}, "step": 1, "seconds": 0.0}


def raw_pickle(make: Callable[[Path], object]) -> Payload:
    """Give what pickles an object."""
    return lambda canary: pickle.dumps(make(canary), _PROTOCOL)


def torch_zip(make: Callable[[Path], object], compression: int = zipfile.ZIP_STORED) -> Payload:
    """Give what writes torch's own format around a pickle."""

    def written(canary: Path) -> bytes:
        parts = {
            "data.pkl": pickle.dumps(make(canary), _PROTOCOL),
            "byteorder": b"little",
            "version": b"3\n",
        }
        return _zipped({f"archive/{name}": data for name, data in parts.items()}, compression)

    return written


def _zipped(parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return file.getvalue()


def legacy_tar(canary: Path) -> bytes:
    """Write a checkpoint as torch did before 2018: a tar of pickles."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            data = pickle.dumps(_system(canary), _PROTOCOL)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


def torch_script(canary: Path) -> bytes:
    """Write a TorchScript archive whose constants are a pickle that runs code."""
    code = b"class M(Module):\n  def forward(self, x):\n    return x\n"
    bad = pickle.dumps(_system(canary), _PROTOCOL)
    names = {"constants.pkl": bad, "data.pkl": bad, "version": b"3\n", "code/__torch__.py": code}
    return _zipped({f"model/{name}": data for name, data in names.items()})


def legacy_file(canary: Path) -> bytes:
    """Write torch's older format: its numbers, then a pickle that runs code."""
    head = b"".join(pickle.dumps(part, _PROTOCOL) for part in (0x1950A86A20F9469CFC6C, 1001, {}))
    return head + pickle.dumps(_eval(canary), _PROTOCOL) + pickle.dumps([], _PROTOCOL)


def safetensors(canary: Path) -> bytes:
    """Write safetensors whose one tensor's bytes are a pickle."""
    data = pickle.dumps(_system(canary), _PROTOCOL)
    place = {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}
    header = json.dumps({"0.weight": place, "__metadata__": {"format": "pickle"}}).encode()
    return struct.pack("<Q", len(header)) + header + data


STATES: dict[str, Payload] = {
    "os.system": torch_zip(_system),
    "builtins.eval": torch_zip(_eval),
    "functools.partial": torch_zip(_partial),
    "numpy objects": torch_zip(_numpy_objects),
    "nested in the optimizer": torch_zip(_nested),
    "raw pickle": raw_pickle(_system),
    "torch's older file": legacy_file,
    "torch's oldest tar": legacy_tar,
    "TorchScript": torch_script,
    "compressed zip": torch_zip(_system, zipfile.ZIP_DEFLATED),
    "safetensors as a state": safetensors,
    "empty list": lambda _: _saved([]),
}
"""What may stand in place of a state."""

WEIGHTS: dict[str, Payload] = {
    "pickle": raw_pickle(_system),
    "torch": torch_zip(_nested),
    "pickle in a tensor": safetensors,
    "endless header": lambda _: struct.pack("<Q", 2**62) + b"{}",
    "zip": lambda canary: _zipped({"a.pkl": pickle.dumps(_eval(canary))}),
}
"""What may stand in place of weights."""


def _saved(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def object_array(canary: Path) -> bytes:
    """Write an .npy of objects."""
    file = io.BytesIO()
    np.save(file, _numpy_objects(canary), allow_pickle=True)
    return file.getvalue()


def _npz(parts: dict[str, bytes]) -> bytes:
    return _zipped({f"{name}.npy": data for name, data in parts.items()}, zipfile.ZIP_DEFLATED)


EVIDENCE: dict[str, Payload] = {
    "object array": lambda canary: _npz(dict.fromkeys(EVIDENCE_NAMES, object_array(canary))),
    "pickle in the zip": lambda canary: _npz(
        dict.fromkeys(EVIDENCE_NAMES, pickle.dumps(_system(canary)))
    ),
    "pickle": raw_pickle(_system),
}
"""What may stand in place of predictions or maps."""
EVIDENCE_NAMES = ("test_logits", "test_labels", "maps", "indices", "targets", "layer", "method")


def run_carelessly(data: bytes) -> None:
    """Unpickle whatever of a payload is a pickle, as a careless reader would."""
    parts = [data]
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = [archive.read(name) for name in archive.namelist()]
    with suppress(tarfile.TarError), tarfile.open(fileobj=io.BytesIO(data)) as archive:
        parts = [file.read() for member in archive if (file := archive.extractfile(member))]
    for part in parts:
        at = max(part.find(b"\x80\x02"), part.find(b"\x80\x04"), 0)
        stream = io.BytesIO(part[at:])
        with suppress(Exception):
            while True:
                pickle.load(stream)


def put_in_place(folder: Path, name: str, data: bytes) -> None:
    """Replace a file of a checkpoint and make its manifest fit, as who writes to a store can."""
    (folder / name).write_bytes(data)
    document = json.loads((folder / NAME).read_bytes())
    del document["seal"]
    document["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / NAME).write_bytes(sealed(document))


def distributed_checkpoint(folder: Path, canary: Path) -> Path:
    """Write a folder as torch's distributed checkpoints are, its metadata a pickle."""
    folder.mkdir()
    (folder / ".metadata").write_bytes(pickle.dumps(_system(canary)))
    (folder / "__0_0.distcp").write_bytes(pickle.dumps(_system(canary)))
    return folder
