"""Muon for convolutions: orthogonalized momentum for matrices, Nesterov SGD for all the rest."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cifar_dist.optim.eager import Optimizer

# Keller Jordan, "Muon: An optimizer for hidden layers in neural networks" (2024): the quintic with
# the steepest slope at zero. It does not converge to 1: values end between about 0.7 and 1.2,
# those that started below some hundredths of the norm lower.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_STEPS = 3


class Muon(Optimizer):
    """Steps groups marked `orthogonal` along their orthogonalized momentum, others along SGD's.

    A filter bank counts as the matrix (out, in·k·k); torch's own Muon refuses such weights.
    Weight decay is decoupled: it shrinks weights by lr · weight_decay.
    """

    def __init__(self, params: Sequence[dict[str, Any]]) -> None:
        super().__init__(params, defaults={})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take one step; parameters without a gradient stay as they are."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            updates = self._nesterov(parameters, group["momentum"])
            if group["weight_decay"]:
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            if group["orthogonal"]:
                updates = orthogonalized(updates)
            torch._foreach_add_(parameters, updates, alpha=-group["lr"])

    def _nesterov(self, parameters: list[Tensor], momentum: float) -> list[Tensor]:
        gradients = [p.grad for p in parameters if p.grad is not None]
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        buffers = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        torch._foreach_mul_(buffers, momentum)
        torch._foreach_add_(buffers, gradients)
        return list(torch._foreach_add(gradients, buffers, alpha=momentum))


def orthogonalized(updates: Sequence[Tensor]) -> list[Tensor]:
    """Bring all singular values of each update, flattened to a matrix, near √max(1, rows/columns).

    Updates of one shape share a batched product.
    """
    by_shape = defaultdict(list)
    for index, update in enumerate(updates):
        by_shape[update.flatten(1).shape].append(index)
    results = list(updates)
    for (rows, columns), indices in by_shape.items():
        matrices = newton_schulz(torch.stack([updates[index].flatten(1) for index in indices]))
        for index, matrix in zip(indices, matrices * max(1, rows / columns) ** 0.5, strict=True):
            results[index] = matrix.view(updates[index].shape)
    return results


def newton_schulz(matrices: Tensor) -> Tensor:
    """Move the singular values of a batch of matrices, none zero, towards 1.

    Works on the small Gram matrix alone: each step of the quintic is a polynomial of it, so the
    steps multiply up and the long side is touched twice (half the work for 3×3 filters).
    """
    if matrices.size(-2) > matrices.size(-1):
        return newton_schulz(matrices.mT).mT
    # The Frobenius norm bounds the largest singular value.
    scaled = matrices / (torch.linalg.matrix_norm(matrices, keepdim=True) + 1e-7)
    gram = scaled @ scaled.mT
    product = polynomial = _quintic(gram)
    for _ in range(_STEPS - 1):
        gram = polynomial @ gram @ polynomial
        polynomial = _quintic(gram)
        product = polynomial @ product
    return torch.matmul(product, scaled)


def _quintic(gram: Tensor) -> Tensor:
    # a · 1 + b · gram + c · gram²; times the matrix of that gram it is the quintic.
    a, b, c = _COEFFICIENTS
    values = (gram @ gram).mul_(c).add_(gram, alpha=b)
    values.diagonal(dim1=-2, dim2=-1).add_(a)
    return values
