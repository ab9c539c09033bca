"""Optimizers by name: each factory takes a model and gives groups that know their base rate."""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.optim import Optimizer

from cifar_dist.optim.eager import SGD, Adam, AdamW, RMSprop
from cifar_dist.optim.groups import groups, matrices, present, vectors
from cifar_dist.optim.muon import Muon
from cifar_dist.registry import Registry

OPTIMIZERS: Registry[Optimizer] = Registry("optimizer")

LearningRate = Annotated[float, Field(gt=0, le=10_000)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
Decay = Annotated[float, Field(ge=0, le=1)]

_SGD_MOMENTUM = 0.85  # beside Muon, as in Keller Jordan's airbench94_muon (2024)


@OPTIMIZERS.register
def sgd(
    model: nn.Module,
    /,
    lr: LearningRate = 0.1,
    momentum: Momentum = 0.9,
    nesterov: bool = True,
    weight_decay: Decay = 5e-4,
) -> Optimizer:
    """Stochastic gradient descent with momentum; weight decay is added to the gradient."""
    return _prepared(
        SGD(
            groups(model, weight_decay),
            lr=lr,
            momentum=momentum,
            nesterov=nesterov and momentum > 0,  # the same thing without momentum; torch refuses it
            fused=True,
        )
    )


@OPTIMIZERS.register
def adam(
    model: nn.Module,
    /,
    lr: LearningRate = 1e-3,
    beta1: Momentum = 0.9,
    beta2: Momentum = 0.999,
    weight_decay: Decay = 0.0,
) -> Optimizer:
    """Adam; weight decay is added to the gradient (Kingma & Ba, 2015)."""
    return _prepared(Adam(groups(model, weight_decay), lr=lr, betas=(beta1, beta2), fused=True))


@OPTIMIZERS.register
def adamw(
    model: nn.Module,
    /,
    lr: LearningRate = 1e-3,
    beta1: Momentum = 0.9,
    beta2: Momentum = 0.999,
    weight_decay: Decay = 0.01,
) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019)."""
    return _prepared(AdamW(groups(model, weight_decay), lr=lr, betas=(beta1, beta2), fused=True))


@OPTIMIZERS.register
def rmsprop(
    model: nn.Module,
    /,
    lr: LearningRate = 1e-3,
    alpha: Momentum = 0.99,
    momentum: Momentum = 0.0,
    weight_decay: Decay = 0.0,
) -> Optimizer:
    """Steps divided by the gradient's running root mean square, kept by `alpha` (Hinton, 2012)."""
    return _prepared(
        RMSprop(
            groups(model, weight_decay),
            lr=lr,
            alpha=alpha,
            momentum=momentum,
            foreach=True,
        )
    )


@OPTIMIZERS.register
def muon(
    model: nn.Module,
    /,
    lr: LearningRate = 0.2,
    momentum: Momentum = 0.6,
    weight_decay: Decay = 0.1,
    sgd_lr: LearningRate = 0.1,
) -> Optimizer:
    """Muon for filters and hidden matrices, SGD at its own rate for head, biases and norms.

    Weight decay is decoupled and for Muon's share alone; half of lr settles norms near √out.
    """
    *hidden, head = matrices(model)
    filters = {"params": hidden, "lr": lr, "momentum": momentum, "weight_decay": weight_decay}
    rest = {"params": [head, *vectors(model)], "lr": sgd_lr, "momentum": _SGD_MOMENTUM}
    return _prepared(
        Muon(
            present(
                {**filters, "orthogonal": True},
                {**rest, "weight_decay": 0.0, "orthogonal": False},
            )
        )
    )


def _prepared(optimizer: Optimizer) -> Optimizer:
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    optimizer.register_load_state_dict_post_hook(_align)
    return optimizer


def _align(optimizer: Optimizer) -> None:
    # Fused CPU kernels walk raw memory: a loaded state in another layout than its parameter's
    # (channels_last) would be applied to the wrong weights, silently.
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if value.shape == parameter.shape and value.stride() != parameter.stride():
                state[name] = torch.empty_like(parameter).copy_(value)
