"""What a check is: a function from the set-up to a finding, with its place in a list."""

from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from cifar_dist.daemon import begun
from cifar_dist.documents.doctor import Verdict
from cifar_dist.errors import CifarDistError

if TYPE_CHECKING:
    from cifar_dist.cluster.checkup import Group
    from cifar_dist.store.checkup import Checkup

_SECONDS = 10.0


@dataclass
class Setup:
    """What is examined; checks share what was once connected."""

    store: str
    data: str
    workers: int | None = None

    @cached_property
    def checkup(self) -> "Checkup":
        """Open the store, for trying it out. Raises ConfigError."""
        from cifar_dist.store.checkup import Checkup

        return Checkup(self.store)

    @cached_property
    def group(self) -> "Group":
        """Let as many workers as asked for compute together, on Ray."""
        from cifar_dist.cluster.checkup import meet

        return meet(self.workers or 1)

    def tidy(self) -> None:
        """Remove what checks that failed half-way left in the store, if that can be done soon."""
        if "checkup" in self.__dict__:
            wait([begun(self.checkup.tidy)], timeout=_SECONDS)


class Finding(NamedTuple):
    """What a check came to; `exit_code` says what its failure stands for."""

    verdict: Verdict
    found: str
    remedy: str | None = None
    exit_code: int = 0


Look = Callable[[Setup], Finding]


@dataclass(frozen=True)
class Check:
    """One line of the examination."""

    name: str
    look: Look
    needs: str | None
    """An earlier check without which this one has nothing to look at."""
    kind: type[CifarDistError]
    """What it stands for that the check is not done in time."""
    seconds: float


@dataclass
class Checks:
    """Checks about one thing, in the order in which they are made."""

    kind: type[CifarDistError]
    listed: list[Check] = field(default_factory=list)

    def add(self, *, needs: str | None = None, seconds: float = _SECONDS) -> Callable[[Look], Look]:
        """List a function as the check of its name."""

        def listed(look: Look) -> Look:
            self.listed.append(Check(look.__name__, look, needs, self.kind, seconds))
            return look

        return listed


def ok(found: str) -> Finding:
    """Find nothing wrong."""
    return Finding("ok", found)


def warning(found: str, remedy: str) -> Finding:
    """Find what works, but not as well as it could."""
    return Finding("warning", found, remedy)


def failed(found: str, remedy: str, kind: type[CifarDistError]) -> Finding:
    """Find what ends a run with such an error."""
    return Finding("failed", found, remedy, kind.exit_code)


def skipped(reason: str) -> Finding:
    """Have nothing to look at."""
    return Finding("skipped", reason)


def raised(error: CifarDistError) -> Finding:
    """Take an error's sentence apart: what and why, then after the last semicolon the remedy."""
    found, _, remedy = " ".join(str(error).split()).rpartition("; ")
    if not found:
        return failed(remedy, "correct what this names", type(error))
    return failed(found, remedy, type(error))
