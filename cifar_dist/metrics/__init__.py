"""The driver's metrics for Prometheus: what they mean, where they stand and who serves them."""

from cifar_dist.metrics.board import Board
from cifar_dist.metrics.families import FAMILIES
from cifar_dist.metrics.meters import Meters
from cifar_dist.metrics.server import HOST_VARIABLE, Server
from cifar_dist.spending import Prices

__all__ = [
    "FAMILIES",
    "HOST_VARIABLE",
    "Board",
    "Meters",
    "Prices",
    "Server",
]
