"""The layers of a model in the order in which they answer, and the one that a map is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cifar_dist.errors import ConfigError
from cifar_dist.problems import nearest, shown
from cifar_dist.world import SynchronizedBatchNorm

_LINEAR = (nn.Conv2d, _BatchNorm, SynchronizedBatchNorm)
_SIDE = 4  # positions along each side of a map that tells where something is


@dataclass(frozen=True)
class Call:
    """One module's answer to a batch; a block's comes after those of its layers."""

    name: str
    module: nn.Module
    output: Tensor

    @property
    def positions(self) -> tuple[int, int]:
        """Height and width of its map, (0, 0) if it is none."""
        shape = tuple(self.output.shape)
        return (shape[2], shape[3]) if len(shape) == 4 else (0, 0)  # noqa: PLR2004 - n, c, h, w

    @property
    def is_telling(self) -> bool:
        """Whether its map has enough positions to tell where something is."""
        return bool(self.name) and min(self.positions) >= _SIDE


def trace(model: nn.Module, images: Tensor) -> list[Call]:
    """Let a model see images [n, 3, 32, 32] once; the model's own answer comes last, unnamed."""
    calls: list[Call] = []

    def noting(name: str) -> Any:
        def note(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                calls.append(Call(name, module, output))

        return note

    hooks = [module.register_forward_hook(noting(name)) for name, module in model.named_modules()]
    try:
        model(images)
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def deepest(calls: Sequence[Call]) -> str:
    """Name the last layer whose map is at least 4×4. Raises ConfigError if there is none.

    A convolution or a norm is passed over where another is found: their signed values, before the
    activation, left half of all maps empty.
    """
    found = [call for call in calls if call.is_telling]
    if not found:
        raise ConfigError(f"no layer of this model has a map of at least {_SIDE}×{_SIDE}; name one")
    activated = [call for call in found if not isinstance(call.module, _LINEAR)]
    return (activated or found)[-1].name


def check_layer(layer: str, calls: Sequence[Call]) -> None:
    """Raise ConfigError unless a layer's map has more than one position."""
    valid = [call.name for call in calls if call.name and max(call.positions) > 1]
    if layer not in valid:
        raise ConfigError(f"layer={shown(layer)}: no layer with a map; {nearest(layer, valid)}")
