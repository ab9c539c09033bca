"""How weights move: optimizers by name, schedules by name, one factor for every learning rate."""

from cifar_dist.optim.optimizers import OPTIMIZERS, groups
from cifar_dist.optim.schedules import SCHEDULES, Schedule, factor, set_lr

__all__ = ["OPTIMIZERS", "SCHEDULES", "Schedule", "factor", "groups", "set_lr"]
