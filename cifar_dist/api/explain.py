"""Where a model saw its class: overlays of image files, of images of a split, or of galleries."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from cifar_dist.errors import ConfigError
from cifar_dist.problems import legible, nearest, shown

if TYPE_CHECKING:
    from torch import Tensor

    from cifar_dist.data import Images
    from cifar_dist.documents import ExplainDocument, ExplainedImage, SkippedFile
    from cifar_dist.evidence import Method


class _Made(NamedTuple):
    rows: "list[ExplainedImage]"
    files: dict[str, bytes]
    positions: Sequence[int]


@dataclass(frozen=True)
class Asked:
    """What to explain: image files, images of a split by their numbers, or else its galleries."""

    files: Sequence[Path] = ()
    indices: Sequence[int] = ()
    split: 'Literal["validation", "test"]' = "validation"
    layer: str | None = None
    method: "Method | None" = None
    target: str | None = None
    """The class to look for, by itself each image's predicted one."""


class Explanation:
    """Weights with the images to explain. Raises CifarDistError."""

    def __init__(self, name: str, store: str, asked: Asked) -> None:
        from cifar_dist.api.origin import origin
        from cifar_dist.explain import Explainer

        _check(asked)
        self._asked, self._origin = asked, origin(name, store)
        self._classes = self._origin.data.classes
        if asked.target is not None and asked.target not in self._classes:
            raise ConfigError(
                f"--class {shown(asked.target)}: no class of {self._origin.name}; "
                f"{nearest(asked.target, self._classes)}"
            )
        self._explainer = Explainer(self._origin.placed(), asked.layer, asked.method)
        self._skipped: list[SkippedFile] = []

    @property
    def folder(self) -> Path:
        """Where its pictures are written by themselves."""
        # The name in a copy of a run may be anybody's.
        return Path(f"{Path(self._origin.name).name}-explained")

    @property
    def reads_test_again(self) -> bool:
        """Whether it reads the test split that the weights' own result was read from."""
        is_asked = self._asked.split == "test" and not self._asked.files
        return is_asked and self._origin.has_read_test

    def __call__(self) -> "tuple[ExplainDocument, dict[str, bytes]]":
        """Give the document, whose folder is not filled in, and the pictures by their names."""
        from cifar_dist.documents import ExplainDocument

        made = self._of_files() if self._asked.files else self._of_split()
        height, width = made.positions
        document = ExplainDocument(
            weights=self._origin.name,
            model=self._origin.recipe["model"]["name"],
            layer=self._explainer.layer,
            method=self._explainer.method,
            positions=(height, width),
            split=None if self._asked.files else self._asked.split,
            folder="",
            files=list(made.files),
            images=made.rows,
            skipped=self._skipped,
        )
        return document, made.files

    def _of_files(self) -> _Made:
        import torch

        from cifar_dist.api.predict import numbered, read_images

        found = read_images(self._asked.files)
        self._skipped = found.skipped
        names = dict(zip(numbered(found.paths), map(legible, found.paths), strict=True))
        return self._overlaid(names, torch.from_numpy(found.pixels))

    def _of_split(self) -> _Made:
        images = self._images()
        if not self._asked.indices:
            return self._galleries(images)
        import torch

        for index in self._asked.indices:
            if not 0 <= index < len(images):
                raise ConfigError(
                    f"--index {index}: the {self._asked.split} split has {len(images):,} images; "
                    f"give 0 to {len(images) - 1}"
                )
        chosen = list(dict.fromkeys(self._asked.indices))
        names = {f"{self._asked.split}-{index:05}.png": str(index) for index in chosen}
        picked = images.select(torch.tensor(chosen))
        return self._overlaid(names, picked.pixels, picked.labels)

    def _overlaid(
        self, names: dict[str, str], pixels: "Tensor", labels: "Tensor | None" = None
    ) -> _Made:
        import torch

        from cifar_dist.report.overlays import side_by_side

        target = self._asked.target
        wanted = None
        if target is not None:
            wanted = torch.full((len(pixels),), self._classes.index(target))
        seen = self._explainer(pixels, wanted)
        shares, predicted = (part.tolist() for part in seen.logits.double().softmax(1).max(1))
        maps = seen.maps.cpu().numpy()
        rows, files = [], {}
        for number, (file, image) in enumerate(names.items()):
            true = None if labels is None else int(labels[number])
            row = self._row(image, true, predicted[number], shares[number])
            rows.append(row.model_copy(update={"target": target or row.predicted, "file": file}))
            lines = [f"seen as {row.predicted}, {100 * row.confidence:.0f} %"]
            lines += [f"true class {row.true}"] if row.true else []
            lines += [f"map of {target}"] if target else []
            files[file] = side_by_side(pixels[number].numpy(), maps[number], lines)
        return _Made(rows, files, maps.shape[1:])

    def _galleries(self, images: "Images") -> _Made:
        import torch

        from cifar_dist.evidence import galleries, shown
        from cifar_dist.loop import predict
        from cifar_dist.report.figures.drawing import style
        from cifar_dist.report.figures.galleries import gallery_pictures
        from cifar_dist.world import World

        seed = int(self._origin.recipe["seed"])
        predictions = predict(self._origin.model, images, self._asked.split, World())
        chosen = galleries(predictions, seed)
        indices = torch.from_numpy(shown(chosen))
        targets = torch.from_numpy(predictions.predicted)[indices]
        maps = self._explainer.maps(images, indices, targets)
        with style():
            drawn = gallery_pictures(predictions, images.pixels.numpy(), maps, self._classes, seed)
            files = {picture.file: picture.data for picture in drawn}
        rows = []
        for index in maps.indices.tolist():
            true, seen = int(predictions.labels[index]), int(predictions.predicted[index])
            row = self._row(str(index), true, seen, float(predictions.confidence[index]))
            name = next(name for name, those in chosen.items() if index in those)
            rows.append(row.model_copy(update={"file": f"{name}_cam.png"}))
        return _Made(rows, files, maps.maps.shape[1:])

    def _row(
        self, image: str, true: int | None, predicted: int, confidence: float
    ) -> "ExplainedImage":
        from cifar_dist.documents import ExplainedImage

        return ExplainedImage(
            image=image,
            true=None if true is None else self._classes[true],
            predicted=self._classes[predicted],
            confidence=confidence,
            target=self._classes[predicted],
            file="",
        )

    def _images(self) -> "Images":
        from cifar_dist.api.evaluate import opened, validation

        dataset = opened(self._origin)
        if self._asked.split == "test":
            return dataset.test
        return validation(dataset, self._origin.name, "explain images of --split test")


def _check(asked: Asked) -> None:
    if asked.files and asked.indices:
        raise ConfigError("IMAGE and --index exclude each other; give one of them")
    if asked.target is not None and not (asked.files or asked.indices):
        raise ConfigError("--class goes with IMAGE or --index; galleries show predicted classes")
