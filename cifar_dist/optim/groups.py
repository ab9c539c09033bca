"""Parameter groups: what decays, what learns faster, and one factor for every learning rate."""

from collections import defaultdict
from typing import Any

from torch import nn
from torch.optim import Optimizer


def groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split trainable parameters: matrices and filters decay; biases and norm scales never do."""
    return present(
        {"params": matrices(model), "weight_decay": weight_decay},
        {"params": vectors(model), "weight_decay": 0.0},
    )


def matrices(model: nn.Module) -> list[nn.Parameter]:
    """Give the trainable weights of linear layers and convolutions, the head's last."""
    return [p for p in model.parameters() if p.requires_grad and p.ndim > 1]


def vectors(model: nn.Module) -> list[nn.Parameter]:
    """Give the trainable biases and norm scales."""
    return [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]


def present(*groups: dict[str, Any]) -> list[dict[str, Any]]:
    """Leave out groups without parameters."""
    return [group for group in groups if group["params"]]


def set_lr(optimizer: Optimizer, factor: float) -> None:
    """Scale every group's `initial_lr`; groups keep their ratio."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def scale_lr(optimizer: Optimizer, model: nn.Module, *, norm_bias: float, head: float) -> None:
    """Split off the norms' biases and the head, the last layer with a matrix, at scaled rates."""
    if norm_bias == head == 1.0:
        return
    factors: dict[nn.Parameter, float] = dict.fromkeys(_norm_biases(model), norm_bias)
    factors |= dict.fromkeys(_head(model), head)
    split = []
    for group in optimizer.param_groups:
        shares: dict[float, list[nn.Parameter]] = defaultdict(list)
        for parameter in group["params"]:
            shares[factors.get(parameter, 1.0)].append(parameter)
        for factor, parameters in shares.items():
            rate = group["initial_lr"] * factor
            split.append({**group, "params": parameters, "lr": rate, "initial_lr": rate})
    optimizer.param_groups[:] = split


def _norm_biases(model: nn.Module) -> list[nn.Parameter]:
    # By its shape, whatever its class: a norm, a synchronized one too, scales by a vector.
    own = [dict(module.named_parameters(recurse=False)) for module in model.modules()]
    norms = [p for p in own if p.keys() == {"weight", "bias"} and p["weight"].ndim == 1]
    return [parameters["bias"] for parameters in norms]


def _head(model: nn.Module) -> list[nn.Parameter]:
    layers = [m for m in model.modules() if getattr(getattr(m, "weight", None), "ndim", 0) > 1]
    return list(layers[-1].parameters(recurse=False))
