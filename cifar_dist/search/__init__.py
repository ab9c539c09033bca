"""What a sweep tries: search spaces, their trials' overrides and the trials' ranking."""

from cifar_dist.search.ranking import rank
from cifar_dist.search.space import Asha, Budget, Space, shipped_spaces, space_path

__all__ = ["Asha", "Budget", "Space", "rank", "shipped_spaces", "space_path"]
