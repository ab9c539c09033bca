"""What a sweep tries: search spaces, their trials' overrides and the trials' ranking."""

from cifar_dist.config import shipped_spaces, space_path
from cifar_dist.search.ranking import rank
from cifar_dist.search.rungs import Rungs, rungs_of, trainings
from cifar_dist.search.samplers import Observation
from cifar_dist.search.space import Asha, Budget, Space

__all__ = [
    "Asha",
    "Budget",
    "Observation",
    "Rungs",
    "Space",
    "rank",
    "rungs_of",
    "shipped_spaces",
    "space_path",
    "trainings",
]
