"""The registry of architectures, and what families share."""

from typing import Annotated, Protocol, runtime_checkable

from pydantic import Field
from torch import Tensor, nn

from cifar_dist.registry import Registry

CLASSES = 10

MODELS: Registry[nn.Module] = Registry("model")

Dropout = Annotated[float, Field(ge=0, lt=1)] | None
"""A dropout rate; None keeps the family's own."""


@runtime_checkable
class SupportsWhitening(Protocol):
    """A model whose stem is fitted to training images once, before its first step."""

    def whiten(self, images: Tensor) -> None:
        """Fit the stem to normalized float images [N, 3, 32, 32]."""
