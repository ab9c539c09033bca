"""The driver's metrics for Prometheus: what they mean, where they stand and who serves them."""

from cifar_dist.metrics.board import Board
from cifar_dist.metrics.families import FAMILIES, Family
from cifar_dist.metrics.meters import Meters, Prices
from cifar_dist.metrics.server import DEFAULT_HOST, HOST_VARIABLE, Server

__all__ = [
    "DEFAULT_HOST",
    "FAMILIES",
    "HOST_VARIABLE",
    "Board",
    "Family",
    "Meters",
    "Prices",
    "Server",
]
