"""What work spent, what an hour costs, and which part of a budget is reached first."""

from dataclasses import dataclass
from typing import NamedTuple

from cifar_dist.errors import ConfigError

_HOUR = 3600.0


class Spent(NamedTuple):
    """What a sweep took, all its attempts together."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Reserved CPUs times the seconds for which trials held them."""
    gpu_seconds: float = 0.0
    """Reserved GPUs times the seconds for which trials held them."""

    def since(self, before: "Spent") -> "Spent":
        """Give what was spent after a moment, 0 at the least."""
        return Spent(*(max(0.0, now - then) for now, then in zip(self, before, strict=True)))


_NOTHING = Spent()


@dataclass(frozen=True)
class Prices:
    """What an hour costs; None is not known."""

    cpu_hour: float | None = None
    gpu_hour: float | None = None

    def cost(self, cpu_seconds: float, gpu_seconds: float) -> float | None:
        """Give the price of what was reserved, None without any price."""
        if self.cpu_hour is None and self.gpu_hour is None:
            return None
        cpus, gpus = self.cpu_hour or 0.0, self.gpu_hour or 0.0
        return (cpu_seconds * cpus + gpu_seconds * gpus) / _HOUR

    def check_budget(self, cost: float | None) -> None:
        """Raise ConfigError for a budget of money where nothing has a price."""
        if cost is not None and self.cost(0.0, 0.0) is None:
            raise ConfigError(
                f"budget.cost={cost:g}: nothing has a price here; say what an hour costs with "
                "--set placement.cpu_hour_price=PRICE or --set placement.gpu_hour_price=PRICE"
            )


@dataclass(frozen=True)
class Allowance:
    """What a sweep may spend; None is not limited."""

    seconds: float | None = None
    cpu_hours: float | None = None
    gpu_hours: float | None = None
    cost: float | None = None
    prices: Prices = Prices()
    before: Spent = _NOTHING
    """What does not count, as it was spent under an earlier budget."""

    def used(self, spent: Spent) -> float | None:
        """Give the share of the budget that is nearest to its end; None without a budget."""
        return max((share for _, share in self._shares(spent)), default=None)

    def exhausted(self, spent: Spent) -> str | None:
        """Say which part of the budget was spent, if any."""
        amounts = (amount for amount, share in self._shares(spent) if share >= 1)
        amount = next(amounts, None)
        return None if amount is None else f"the sweep's budget of {amount} was spent"

    def _shares(self, spent: Spent) -> list[tuple[str, float]]:
        wall, cpus, gpus = spent.since(self.before)
        parts = (
            (self.seconds, "{:g} s", wall),
            (self.cpu_hours, "{:g} CPU-hours", cpus / _HOUR),
            (self.gpu_hours, "{:g} GPU-hours", gpus / _HOUR),
            (self.cost, "{:g} in money", self.prices.cost(cpus, gpus) or 0.0),
        )
        return [(text.format(most), now / most) for most, text, now in parts if most]
