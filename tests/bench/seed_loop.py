"""The reference trainer: image by image by albumentations, a DataLoader, fp32, a plain loop."""

import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from cifar_dist.augment.steps import MEAN_COLOR
from cifar_dist.data import MEAN, STD, Images
from cifar_dist.models import MODELS
from tests.bench.rounds import Absent, rate

Pipeline = Callable[..., dict[str, Any]]


def library() -> Any:
    """Import albumentations; raises Absent."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    try:
        import albumentations
    except ImportError:
        raise Absent("albumentations is not installed, so its side is skipped.") from None
    return albumentations


def plain() -> Pipeline:
    """Normalize only, as for an evaluation."""
    pipeline: Pipeline = library().Compose([library().Normalize(MEAN, STD)])
    return pipeline


def crop_and_flip() -> Pipeline:
    """Pad by 4, cut 32×32, mirror half of the images, normalize."""
    a = library()
    pipeline: Pipeline = a.Compose(
        [
            a.PadIfNeeded(40, 40, border_mode=4),  # cv2.BORDER_REFLECT_101
            a.RandomCrop(32, 32),
            a.HorizontalFlip(p=0.5),
            a.Normalize(MEAN, STD),
        ]
    )
    return pipeline


def classic() -> Pipeline:
    """Mirror; shift, scale and rotate; drop a square: each for half of the images; normalize."""
    a = library()
    pipeline: Pipeline = a.Compose(
        [
            a.HorizontalFlip(p=0.5),
            a.Affine(
                translate_percent=(-0.0625, 0.0625),
                scale=(0.9, 1.1),
                rotate=(-15, 15),
                border_mode=4,
                p=0.5,
            ),
            a.CoarseDropout((1, 1), (16, 16), (16, 16), fill=MEAN_COLOR, p=0.5),
            a.Normalize(MEAN, STD),
        ]
    )
    return pipeline


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images as a classification tutorial's data set: augmented one by one when asked for."""

    def __init__(self, images: Images, pipeline: Pipeline) -> None:
        self._pictures = images.pixels.permute(0, 2, 3, 1).contiguous().numpy()
        self._labels, self._pipeline = images.labels.tolist(), pipeline

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = self._pipeline(image=self._pictures[index])["image"]
        return torch.from_numpy(picture.transpose(2, 0, 1)), self._labels[index]


def loader(
    images: Images, pipeline: Pipeline, batch_size: int, workers: int, *, shuffle: bool = True
) -> DataLoader[tuple[Tensor, int]]:
    """Give a loader whose workers, if any, live on from epoch to epoch."""
    return DataLoader(
        Pictures(images, pipeline),
        batch_size,
        shuffle=shuffle,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


@dataclass(frozen=True)
class SeedRecipe:
    """What the reference trains, and how; SGD with momentum, or `optimizer` adam or adamw."""

    model: dict[str, Any] = field(default_factory=lambda: {"name": "lenet5"})
    pipeline: Callable[[], Pipeline] = classic
    optimizer: str = "sgd"
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    batch_size: int = 128
    workers: int = 0
    epochs: int = 0
    """Of the one-cycle schedule; 0: a constant rate."""
    seed: int = 0
    device: str = "cpu"


class SeedLoop:
    """A model in training by the reference; the model is of the same class as ours."""

    def __init__(self, recipe: SeedRecipe, train: Images) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.model: nn.Module = MODELS.build(recipe.model).to(recipe.device)
        self._loader = loader(train, recipe.pipeline(), recipe.batch_size, recipe.workers)
        self._optimizer = _optimizer(recipe, self.model)
        self._schedule = None
        if recipe.epochs:
            self._schedule = torch.optim.lr_scheduler.OneCycleLR(
                self._optimizer, recipe.lr, recipe.epochs * len(self._loader)
            )
        self._steps = self._endless()

    def epoch(self) -> Iterator[tuple[int, float, int]]:
        """Train on every image once: of each step the images, the loss and how many were right."""
        self.model.train()
        for pixels, targets in self._loader:
            images, labels = pixels.to(self.recipe.device), targets.to(self.recipe.device)
            self._optimizer.zero_grad()
            logits = self.model(images)
            loss = F.cross_entropy(logits, labels)
            torch.autograd.backward(loss)
            self._optimizer.step()
            if self._schedule is not None:
                self._schedule.step()
            yield len(labels), loss.item(), int((logits.argmax(1) == labels).sum().item())

    def train_epoch(self) -> float:
        """Train on every image once; gives the mean loss."""
        return statistics.fmean(loss for _, loss, _ in self.epoch())

    def step(self) -> int:
        """Take one step of an endless training; gives its images."""
        return next(self._steps)

    def accuracy(self, images: Images) -> float:
        """Evaluate image by image, as it trains."""
        self.model.eval()
        correct = 0
        with torch.no_grad():
            for pixels, targets in loader(
                images, plain(), self.recipe.batch_size, 0, shuffle=False
            ):
                logits = self.model(pixels.to(self.recipe.device))
                correct += int((logits.argmax(1).cpu() == targets).sum().item())
        return correct / len(images)

    def _endless(self) -> Iterator[int]:
        while True:
            yield from (images for images, _, _ in self.epoch())


def _optimizer(recipe: SeedRecipe, model: nn.Module) -> torch.optim.Optimizer:
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            model.parameters(), recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay
        )
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
    optimizer: torch.optim.Optimizer = kind(
        model.parameters(), recipe.lr, weight_decay=recipe.weight_decay
    )
    return optimizer


def faster(loops: Sequence[SeedLoop], seconds: float) -> SeedLoop:
    """Give whichever takes more images per second, measured for a while each."""

    def speed(loop: SeedLoop) -> float:
        loop.step()
        return rate(loop.step, seconds)

    return max(loops, key=speed)
