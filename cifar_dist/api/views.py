"""Test-time augmentation: a model that looks at an image in several ways and takes the mean."""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Views = Literal["none", "flip", "multi_crop"]

_PADDING = 2


class Averaged(nn.Module):
    """Gives the logarithm of the mean of the probabilities that a model gives to each view.

    `flip`: an image and its mirror image. `multi_crop`: of each the image itself and the four
    corner windows of it, padded by two reflected pixels.
    """

    def __init__(self, model: nn.Module, views: Views) -> None:
        super().__init__()
        self.model, self._views = model, views

    def forward(self, images: Tensor) -> Tensor:
        """Classify normalized images [N, 3, 32, 32]."""
        logits = [self.model(view) for view in self._seen(images)]
        probabilities = torch.stack([found.double().softmax(1) for found in logits])
        return probabilities.mean(0).log()

    def _seen(self, images: Tensor) -> Iterator[Tensor]:
        for way in (images, images.flip(-1)):
            yield way
            if self._views == "multi_crop":
                yield from _corners(way)


def _corners(images: Tensor) -> Iterator[Tensor]:
    side, far = images.shape[-1], 2 * _PADDING
    padded = F.pad(images, (_PADDING,) * 4, mode="reflect")
    for y in (0, far):
        for x in (0, far):
            yield padded[..., y : y + side, x : x + side]
