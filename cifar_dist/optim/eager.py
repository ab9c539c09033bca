"""Torch's optimizers without its compiler, whose import takes seconds of a worker's start."""

import inspect

import torch


class Optimizer(torch.optim.Optimizer):
    """The base of every optimizer here; subclasses unwrap their step."""

    # Torch imports its compiler only to tell it to leave these alone. Nothing is compiled here,
    # so the functions below torch's wrappers do all the work.
    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)


class SGD(Optimizer, torch.optim.SGD):
    """Torch's SGD."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))


class Adam(Optimizer, torch.optim.Adam):
    """Torch's Adam."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))


class AdamW(Optimizer, torch.optim.AdamW):
    """Torch's AdamW."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


class RMSprop(Optimizer, torch.optim.RMSprop):
    """Torch's RMSprop."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.RMSprop.step))
