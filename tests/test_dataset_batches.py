"""Batches are read without running anything in them, even where no sum stands in front."""

import functools
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

from cifar_dist.dataset.arrays import CLASSES
from cifar_dist.dataset.batches import read_batch, read_class_names
from cifar_dist.errors import DataError
from tests.pickles import META, RECONSTRUCT, array, batch, item, pickled

CANARY = "canary"
TOUCH = item(f"touch {CANARY}".encode())


def with_data(opcodes: bytes) -> bytes:
    """Give a batch whose pixels are these opcodes."""
    return b"\x80\x02}(" + item(b"labels") + item([3, 8]) + item(b"data") + opcodes + b"u."


def call(module: str, name: str) -> bytes:
    """Call a function with a shell command."""
    return f"c{module}\n{name}\n".encode() + b"(" + TOUCH + b"tR"


class Shell:
    """An object whose pickle runs a command."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, (f"touch {CANARY}",)


HOSTILE = {
    "os.system": (b"\x80\x02" + call("os", "system") + b".", "names 'os.system'"),
    "posix.system": (with_data(call("posix", "system")), "names 'posix.system'"),
    "eval": (with_data(call("builtins", "eval")), "names 'builtins.eval'"),
    "eval of Python 2": (with_data(call("__builtin__", "eval")), "names '__builtin__.eval'"),
    "getattr": (with_data(call("builtins", "getattr")), "names 'builtins.getattr'"),
    "importlib": (with_data(call("importlib", "import_module")), "names 'importlib.import_mod"),
    "numpy.load": (with_data(call("numpy", "load")), "names 'numpy.load'"),
    "numpy scalar": (with_data(call("numpy.core.multiarray", "scalar")), "multiarray.scalar'"),
    "numpy.fromfile": (with_data(call("numpy.core.multiarray", "fromfile")), "fromfile'"),
    "numpy.testing": (with_data(call("numpy.testing._private.utils", "runstring")), "runstring'"),
    "partial": (pickle.dumps(functools.partial(print, 1), 2), "names 'functools.partial'"),
    "copyreg": (pickle.dumps(np.random.default_rng, 0), "names 'numpy.random"),
    "a reduce inside an array's state": (
        with_data(RECONSTRUCT + b"cnumpy\nndarray\n\x85R(" + call("os", "system") + b"tb"),
        "names 'os.system'",
    ),
    "a call of what is no function": (batch()[:-2] + b"R.", "cannot be read"),
    "protocol 0 instance": (b"(S'touch canary'\nios\nsystem\n.", "names 'os.system'"),
    "protocol 4": (pickle.dumps(Shell(), 4), "names 'posix.system'"),
    "protocol 5": (pickle.dumps(Shell(), 5), "names 'posix.system'"),
    "new object": (b"\x80\x02csubprocess\nPopen\n)\x81.", "names 'subprocess.Popen'"),
    "extension": (b"\x80\x02\x82\x01.", "cannot be read"),
    "persistent id": (b"Pcanary\n.", "cannot be read"),
    "a call of a stand-in": (with_data(b"cnumpy\nndarray\n(tR"), "holds no array of pixels"),
    "state for a stand-in": (with_data(b"cnumpy\nndarray\n" + item([1]) + b"b"), "cannot be read"),
    "a long string": (b"\x80\x02\x8e" + (2**62).to_bytes(8, "little") + b".", "cannot be read"),
    "a long number": (b"\x80\x02\x8b" + (2**31 - 1).to_bytes(4, "little"), "cannot be read"),
    "a far memory": (b"\x80\x02Nr\xff\xff\xff\xff.", "it remembers object 4294967295"),
    "a far memory of protocol 0": (b"Np999999999\n.", "it remembers object 999999999"),
    "a deep nest": (b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", "is not a dictionary"),
    "an endless number": (b"I" + b"9" * 10_000 + b"\n.", "cannot be read"),
    "nothing": (b"", "cannot be read"),
    "half a batch": (batch()[: len(batch()) // 2], "cannot be read"),
    "text": (b"version https://git-lfs\n", "cannot be read"),
    "a list": (pickled([1]), "is not a dictionary"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_batch_is_refused_by_name_and_nothing_runs(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content, sentence = HOSTILE[kind]
    for read in (read_batch, read_class_names):
        with pytest.raises(DataError) as caught:
            read(content, "data_batch_1")
        text = str(caught.value)
        assert text.startswith("data_batch_1 is not a batch of CIFAR-10: ")
        assert len(text.splitlines()) == 1
        assert read is read_class_names or sentence in text
    assert not (tmp_path / CANARY).exists()


PIXELS = bytes(2 * 3072)
WRONG = {
    "label -1": (batch(labels=[-1, 0]), "labels are not 0 to 9"),
    "label 10": (batch(labels=[3, 10]), "labels are not 0 to 9"),
    "label 255": (batch(labels=[255, 1]), "labels are not 0 to 9"),
    "float label": (batch(labels=[1.0, 2]), "labels are not a list of whole numbers"),
    "no labels": (batch(labels=None), "labels are not a list"),
    "empty labels": (batch(labels=[]), "labels are not 0 to 9"),
    "999 labels": (batch(labels=[1] * 999), r"pixels are \[2, 3072\], not \[999, 3072\]"),
    "labels of CIFAR-100": (batch(labels=None, fine_labels=[3, 8]), "labels are not a list"),
    "no pixels": (batch(data=None), "holds no array of pixels"),
    "pixels as a list": (batch(data=[1, 2]), "holds no array of pixels"),
    "pixels as bytes": (batch(data=PIXELS), "holds no array of pixels"),
    "narrow rows": (with_data(array((2, 3071), PIXELS)), r"\[2, 3071\], not \[2, 3072\]"),
    "absurd rows": (with_data(array((2**30, 3072), PIXELS)), r"\[1073741824, 3072\], not"),
    "negative rows": (with_data(array((-2, 3072), PIXELS)), r"\[-2, 3072\], not"),
    "one dimension": (with_data(array((6144,), PIXELS)), "not one array of numbers"),
    "few bytes": (with_data(array((2, 3072), PIXELS[1:])), r"not \[2, 3072\]"),
    "int16": (with_data(array((2, 3072), PIXELS, b"i2")), "type b'i2', not uint8"),
    "float": (with_data(array((2, 3072), PIXELS, b"f8")), "type b'f8', not uint8"),
    "objects": (with_data(array((2, 3072), PIXELS, b"O8")), "type b'O8', not uint8"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_batch_of_another_shape_or_type_is_refused(kind: str) -> None:
    content, sentence = WRONG[kind]
    with pytest.raises(DataError, match=sentence):
        read_batch(content, "data_batch_1")


def test_a_batch_is_read_as_numpy_reads_it() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy moved the module that old pickles name
        plain = pickle.loads(batch(), encoding="bytes")
    pixels, labels = read_batch(batch(), "data_batch_1")
    assert np.array_equal(pixels, plain[b"data"].reshape(2, 3, 32, 32))
    assert labels.tolist() == plain[b"labels"]


def test_pixels_stored_by_columns_are_the_same_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3072), dtype=np.uint8)
    content = with_data(array((2, 3072), pixels.tobytes(order="F"), in_columns=True))
    assert np.array_equal(read_batch(content, "b")[0].reshape(2, 3072), pixels)


def test_the_class_names_must_be_those_of_cifar_10_in_order() -> None:
    assert read_class_names(META, "batches.meta") == CLASSES
    swapped = [name.encode() for name in (*CLASSES[1:], CLASSES[0])]
    for names in ([], swapped, [b"apple", b"aquarium_fish"]):
        with pytest.raises(DataError, match="class names are not airplane, automobile"):
            read_class_names(pickled({b"label_names": names}), "batches.meta")


@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")
def test_a_thousand_mutated_batches_run_nothing_and_raise_nothing_else() -> None:
    random, whole = np.random.default_rng(0), batch()
    structure = [place for place in range(len(whole)) if not 130 < place < 6000]
    for _ in range(1000):
        content = bytearray(whole)
        for place in random.choice(structure, 3):
            content[place] = random.integers(256)
        try:
            pixels, labels = read_batch(bytes(content), "data_batch_1")
        except DataError:
            continue
        assert pixels.shape == (len(labels), 3, 32, 32)
