"""Pairs of images in one, with the probabilities of both classes."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from cifar_dist.augment.color import blended
from cifar_dist.augment.holes import box, filled
from cifar_dist.augment.steps import AUGMENTATIONS, SIDE, Mixing, Probability

Alpha = Annotated[float, Field(ge=0.05, le=4)]

_CELLS = 4096


class SymmetricBeta:
    """Beta(α, α) by its quantile function, so that one draw gives one number.

    With t = x^α the density x^(α-1) · (1-x)^(α-1) dx becomes (1-x)^(α-1) dt / α, smooth where x
    is small; the upper half mirrors the lower.
    """

    def __init__(self, alpha: float) -> None:
        self._alpha = alpha
        t = torch.linspace(0, 0.5**alpha, 16 * _CELLS + 1, dtype=torch.float64)
        density = (1 - t ** (1 / alpha)) ** (alpha - 1)
        mass = torch.cumulative_trapezoid(density, t)
        mass = torch.cat((mass.new_zeros(1), mass)) / mass[-1]
        wanted = torch.linspace(0, 1, _CELLS + 1, dtype=torch.float64)
        cell = torch.searchsorted(mass, wanted).clamp(1, len(t) - 1)
        part = (wanted - mass[cell - 1]) / (mass[cell] - mass[cell - 1])
        self._t = torch.lerp(t[cell - 1], t[cell], part)

    def __call__(self, draws: Tensor) -> Tensor:
        """Give the quantiles at draws from [0, 1): fp32 of the same shape."""
        self._t = t = self._t.to(draws.device)  # kept, as a copy waits for a device
        place = (1 - (2 * draws.double() - 1).abs()) * _CELLS
        cell = place.long().clamp(max=_CELLS - 1)
        x = torch.lerp(t[cell], t[cell + 1], place - cell) ** (1 / self._alpha)
        return torch.where(2 * draws < 1, x, 1 - x).float()


@AUGMENTATIONS.register
def mixup(alpha: Alpha = 1.0, p: Probability = 1.0) -> Mixing:
    """Average with another image, weighted by Beta(alpha, alpha) (Zhang et al., 2018)."""
    beta = SymmetricBeta(alpha)

    def blend(images: Tensor, others: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        own = beta(draws[:, 0])
        return blended(images, others.float(), own), own

    return Mixing(p, 1, blend)


@AUGMENTATIONS.register
def cutmix(alpha: Alpha = 1.0, p: Probability = 0.5) -> Mixing:
    """Paste a rectangle of another image, of an area by Beta(alpha, alpha) (Yun et al., 2019)."""
    beta = SymmetricBeta(alpha)

    def blend(images: Tensor, others: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        half = (0.5 * SIDE * (1 - beta(draws[:, :1])).sqrt()).long()
        center = (draws[:, 1:] * SIDE).long()
        first, last = (center - half).clamp(min=0), (center + half).clamp(max=SIDE)
        height, width = (last - first).unbind(1)
        y, x = first.unbind(1)
        mask = box(y, x, height, width)
        return filled(images, mask, others), 1 - height * width / SIDE**2

    return Mixing(p, 3, blend)
