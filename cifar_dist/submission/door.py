"""What following a submitted job asks of a cluster, and the answers that it goes on after."""

from typing import Any, Protocol

from cifar_dist.errors import ConfigError, RunError, StoreError


class Door(Protocol):
    """The way to one namespace of one cluster; each request is bounded in time."""

    def json(self, *arguments: str) -> dict[str, Any]:
        """Give what kubectl answers as JSON, of a list the whole list object."""

    def text(self, *arguments: str) -> str:
        """Give what kubectl prints."""


class NotFoundError(ConfigError):
    """The cluster has no object of this name."""


class UnreachableError(RunError):
    """The cluster does not answer now; it may later."""


class ForbiddenError(StoreError):
    """The cluster answers, and this account may not do that."""
