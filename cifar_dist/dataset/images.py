"""Encoded image files become the arrays of a dataset, or a sentence about the file at fault.

Gray, palette and opaque RGBA images are converted, larger squares averaged down to 32×32; both are
counted. Anything else is refused.
"""

import io
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from cifar_dist.dataset.arrays import CLASSES, SIDE, Arrays, is_class_name
from cifar_dist.dataset.files import LAYOUT, SPLITS
from cifar_dist.documents import DataOrigin
from cifar_dist.errors import DataError
from cifar_dist.problems import shown

_FORMATS = ("JPEG", "PNG")
_CONVERTIBLE = ("L", "LA", "P", "RGBA")
_UNKNOWN = "its content is of neither format"
_CONVERTED, _RESIZED = "converted", "resized"
_MAX_SIDE = 1024  # 3 MB as pixels
_MAX_PIXELS = 50_000_000  # of a photograph: 150 MB
_PNG, _PNG_DEPTH = b"\x89PNG\r\n\x1a\n", 24  # where a PNG's header says how many bits a value has
_UNREADABLE = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError,
    struct.error, zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip


def decode(files: Mapping[str, bytes], place: str) -> Arrays:
    """Decode `<split>/<class>/<name>` files in the order of their paths. Raises DataError."""
    paths = sorted(tuple(path.split("/")) for path in files)
    classes = _classes(paths, place)
    counts: Counter[str] = Counter()
    # One thread: on images this small threads only queue for the interpreter (18 k images/s
    # alone, 11 k with two).
    pixels = np.empty((len(paths), 3, SIDE, SIDE), dtype=np.uint8)
    for index, path in enumerate(paths):
        pixels[index] = _pixels("/".join(path), files, counts).transpose(2, 0, 1)
    labels = np.array([classes.index(path[1]) for path in paths], dtype=np.int64)
    test = np.array([path[0] == "test" for path in paths])
    origin = DataOrigin(
        kind="folder", converted_images=counts[_CONVERTED], resized_images=counts[_RESIZED]
    )
    return Arrays(classes, pixels[~test], labels[~test], pixels[test], labels[test], origin)


def _classes(paths: Sequence[tuple[str, ...]], place: str) -> tuple[str, ...]:
    train, test = ({path[1] for path in paths if path[0] == split} for split in SPLITS)
    if odd := sorted(name for name in train | test if not is_class_name(name)):
        raise DataError(
            f"{place}: the class {shown(odd[0])} has control characters in its name; rename it"
        )
    if not (train and test):
        raise DataError(f"{place} holds no {'test' if train else 'train'} images; {LAYOUT}")
    if train != test:
        lone = sorted(train ^ test)[0]
        where, other = ("train", test) if lone in train else ("test", train)
        near = [name for name in other if name.lower() == lone.lower()]
        seen = f" and is {near[0]!a} in the other split" if near else ""
        raise DataError(f"{place}: class {lone!a} has images only in {where}{seen}; {LAYOUT}")
    if len(train) != len(CLASSES):
        raise DataError(
            f"{place} holds images of {len(train)} classes, not {len(CLASSES)}; {LAYOUT}"
        )
    return tuple(sorted(train))


def fitted(path: str, content: bytes) -> NDArray[np.uint8]:
    """Decode one image of any shape: its middle square, brought to [3, 32, 32].

    Larger ones are averaged down as those of a dataset are. Raises DataError.
    """
    with _opened(path, content) as image:
        if image.width * image.height > _MAX_PIXELS:
            raise DataError(
                f"{path!a} has {image.width}×{image.height} pixels, more than {_MAX_PIXELS:,} in "
                "all; resize it"
            )
        if image.format != "MPO":  # a camera's photograph with its preview
            _check_still(path, image)
        colored = _rgb(path, ImageOps.exif_transpose(image), Counter())
        side = min(colored.size)
        left, top = (colored.width - side) // 2, (colored.height - side) // 2
        middle = (left, top, left + side, top + side)
        kind = Image.Resampling.BOX if side >= SIDE else Image.Resampling.BICUBIC
        small = colored.resize((SIDE, SIDE), kind, middle)
        return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


def _pixels(path: str, files: Mapping[str, bytes], counts: Counter[str]) -> NDArray[np.uint8]:
    with _opened(path, files[path]) as image:
        _check(path, image)
        return np.asarray(_resized(_rgb(path, image, counts), counts))


@contextmanager
def _opened(path: str, content: bytes) -> Iterator[Image.Image]:
    if content.startswith(_PNG) and content[_PNG_DEPTH : _PNG_DEPTH + 1] == b"\x10":
        raise DataError(f"{path!a} has 16 bits per value; save it with 8")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                yield image
    except _UNREADABLE as error:
        reason = _UNKNOWN if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{path!a} is not a readable JPEG or PNG: {reason}; replace it") from error


def _check(path: str, image: Image.Image) -> None:
    # The declared size is checked before anything is inflated.
    width, height = image.size
    if width != height or not SIDE <= width <= _MAX_SIDE:
        raise DataError(
            f"{path!a} has {width}×{height} pixels; resize to 32×32 (only squares up to "
            f"{_MAX_SIDE}×{_MAX_SIDE} are resized here)"
        )
    _check_still(path, image)


def _check_still(path: str, image: Image.Image) -> None:
    if getattr(image, "n_frames", 1) > 1:
        raise DataError(f"{path!a} is animated; save one frame of it")


def _rgb(path: str, image: Image.Image, counts: Counter[str]) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode not in ("RGB", *_CONVERTIBLE):
        raise DataError(f"{path!a} has color mode {image.mode}; save it as RGB")
    opaque = image.convert("RGBA")
    if opaque.getchannel("A").getextrema() != (255, 255):
        raise DataError(f"{path!a} is partly transparent; save it as RGB")
    counts[_CONVERTED] += 1
    return opaque.convert("RGB")


def _resized(image: Image.Image, counts: Counter[str]) -> Image.Image:
    if image.size == (SIDE, SIDE):
        return image
    counts[_RESIZED] += 1
    # Area averaging, exact where the side is a multiple of 32.
    return image.resize((SIDE, SIDE), Image.Resampling.BOX)
