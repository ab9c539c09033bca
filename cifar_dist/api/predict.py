"""Image files of any size, classified in one batch."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cifar_dist.documents import (
    ClassProbability,
    ImagePrediction,
    PredictDocument,
    SkippedFile,
)
from cifar_dist.errors import DataError, RefusedError
from cifar_dist.problems import legible

if TYPE_CHECKING:
    from cifar_dist.api.origin import Origin

_LARGEST_BYTES = 60_000_000
_BATCH = 500


@dataclass(frozen=True)
class Readable:
    """Image files that could be read, in the order they were named, and those that could not."""

    paths: list[Path]
    pixels: NDArray[np.uint8]
    """[n, 3, 32, 32]"""
    skipped: list[SkippedFile]


def read_images(paths: Sequence[Path]) -> Readable:
    """Read image files and fit them to 32×32. Raises DataError if none can be read."""
    from cifar_dist.dataset.images import fitted

    read, skipped = {}, []
    for path in dict.fromkeys(paths):
        try:
            read[path] = fitted(str(path), _content(path))
        except DataError as error:
            skipped.append(SkippedFile(path=legible(path), reason=str(error)))
    if not read:
        raise DataError("\n".join(row.reason for row in skipped))
    return Readable(list(read), np.stack(list(read.values())), skipped)


def predict(origin: "Origin", images: Readable, top: int) -> PredictDocument:
    """Classify images; gives the `top` most probable classes of each."""
    classes = origin.data.classes
    rows = []
    for path, shares in zip(images.paths, _probabilities(origin, images.pixels), strict=True):
        order = np.argsort(-shares, kind="stable")[:top]
        found = [ClassProbability(name=classes[i], probability=float(shares[i])) for i in order]
        rows.append(ImagePrediction(path=legible(path), predictions=found))
    return PredictDocument(model=origin.name, classes=classes, images=rows, skipped=images.skipped)


def explained(
    document: PredictDocument, origin: "Origin", images: Readable, folder: Path
) -> PredictDocument:
    """Write a PNG of each image into a folder: where it shows the class that is named first.

    Raises RefusedError if one of the files exists.
    """
    from cifar_dist.report.overlays import side_by_side
    from cifar_dist.store.disk import reported

    files = [folder / name for name in numbered(images.paths)]
    with reported(str(folder)):
        if taken := [file for file in files if file.exists() or file.is_symlink()]:
            raise RefusedError(f"{taken[0]} exists; remove it or name another folder with --cam")
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        maps = _maps(document, origin, images.pixels)
        for row, file, pixels, found in zip(
            document.images, files, images.pixels, maps, strict=True
        ):
            first = row.predictions[0]
            lines = [first.name, f"{100 * first.probability:.1f} %"]
            file.write_bytes(side_by_side(pixels, found, lines))
            rows.append(row.model_copy(update={"cam": legible(file)}))
    return document.model_copy(update={"images": rows})


def numbered(paths: Sequence[Path]) -> list[str]:
    """Name a PNG for each of some image files; none is named twice."""
    width = len(str(len(paths)))
    stems = (Path(legible(path)).stem for path in paths)
    return [f"{number:0{width}}-{stem}.png" for number, stem in enumerate(stems, start=1)]


def _maps(
    document: PredictDocument, origin: "Origin", pixels: NDArray[np.uint8]
) -> NDArray[np.float32]:
    import torch

    from cifar_dist.data import Images
    from cifar_dist.explain import activation_maps

    named = [document.classes.index(row.predictions[0].name) for row in document.images]
    targets, indices = torch.tensor(named), torch.arange(len(named))
    images = Images(torch.from_numpy(pixels), targets)
    return activation_maps(origin.model, images, indices, targets).maps


def _probabilities(origin: "Origin", pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    import torch

    from cifar_dist.data import normalize
    from cifar_dist.evidence import softmax

    with torch.inference_mode():
        batches = torch.split(torch.from_numpy(pixels), _BATCH)
        logits = torch.cat([origin.model(normalize(batch)) for batch in batches])
    return softmax(logits.double().numpy())


def _content(path: Path) -> bytes:
    # Never opened unless it is a plain file: reading a pipe would wait for ever.
    try:
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            files = f"{legible(path)}/*.png"
            raise DataError(f"{str(path)!a} is a folder; name the files in it, as in {files}")
        if not stat.S_ISREG(facts.st_mode):
            raise DataError(f"{str(path)!a} is not a plain file; name an image file")
        if facts.st_size > _LARGEST_BYTES:
            raise DataError(f"{str(path)!a} has more than {_LARGEST_BYTES:,} bytes; resize it")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{str(path)!a} cannot be read: {reason}; check its path") from error
