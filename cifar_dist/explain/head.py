"""Heads that are linear in the last map: one average pooling among 1×1 layers and batch norms."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cifar_dist.explain.layers import Call
from cifar_dist.world import SynchronizedBatchNorm

_PASSING = (nn.Dropout, nn.Dropout2d, nn.Flatten, nn.Identity)  # change nothing in evaluation
_TOLERANCE = 1e-3  # of the largest logit


@dataclass(frozen=True)
class Head:
    """`weights` [classes, channels] of the map of `layer`; batch norms are folded in."""

    layer: str
    weights: Tensor


def linear_head(calls: Sequence[Call]) -> Head | None:
    """Find the head of a traced model, if the logits are means of weighted maps, and prove it."""
    leaves = [(index, call) for index, call in enumerate(calls) if _acts(call.module)]
    leaves.reverse()
    tail = list(takewhile(lambda leaf: _matrix(leaf[1].module) is not None, leaves))
    rest = leaves[len(tail) :]
    if len(rest) < 2 or not _pools_all(rest[0][1]):  # noqa: PLR2004 - pooling needs a map
        return None
    # The class weights come after the pooling, or as a map of each class just before it.
    weighing = tail or rest[1:2]
    source = calls[(rest[0] if tail else rest[1])[0] - 1]
    if not source.is_telling:
        return None
    weights = torch.eye(source.output.shape[1], device=source.output.device)
    for _, call in reversed(weighing):
        matrix = _matrix(call.module)
        if matrix is None or matrix.shape[1] != len(weights):
            return None
        weights = matrix @ weights
    head = Head(source.name, weights)
    return head if _explains(head, source.output, calls[-1].output) else None


def _acts(module: nn.Module) -> bool:
    return not any(True for _ in module.children()) and not isinstance(module, _PASSING)


def _matrix(module: nn.Module) -> Tensor | None:
    """Give what a layer multiplies the channels of each position by, if that is all it does."""
    if isinstance(module, nn.Linear):
        return module.weight.detach()
    if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1:
        return module.weight.detach().flatten(1)
    if isinstance(module, _BatchNorm | SynchronizedBatchNorm) and module.running_var is not None:
        scale = (module.running_var + module.eps).rsqrt()
        return torch.diag(scale if module.weight is None else scale * module.weight.detach())
    return None


def _pools_all(call: Call) -> bool:
    pools = isinstance(call.module, nn.AvgPool2d | nn.AdaptiveAvgPool2d)
    return pools and call.positions == (1, 1)


def _explains(head: Head, features: Tensor, logits: Tensor) -> bool:
    # Biases cancel in the difference of two images; an operation that is no module shows here.
    means = features.mean((2, 3)) @ head.weights.T
    if means.shape != logits.shape:
        return False
    wrong = (means[0] - means[1]) - (logits[0] - logits[1])
    return bool(wrong.abs().max() <= _TOLERANCE * logits.abs().max())
