"""How weights move: optimizers, schedules and averages by name, one factor for every rate."""

from cifar_dist.optim.averaging import AVERAGINGS, Averaging, Pair
from cifar_dist.optim.groups import groups, scale_lr, set_lr
from cifar_dist.optim.optimizers import OPTIMIZERS
from cifar_dist.optim.schedules import SCHEDULES, Schedule, factor

__all__ = [
    "AVERAGINGS",
    "OPTIMIZERS",
    "SCHEDULES",
    "Averaging",
    "Pair",
    "Schedule",
    "factor",
    "groups",
    "scale_lr",
    "set_lr",
]
