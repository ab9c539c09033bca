"""Kubernetes' quantities as numbers."""

UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
UNITS |= {f"{unit}i": 1024.0**power for power, unit in enumerate("KMGT", 1)}


def number(quantity: str | float) -> float:
    """Read `500m` as 0.5 and `1Ki` as 1024."""
    text = str(quantity)
    digits = text.rstrip("KMGTimk")
    return float(digits) * UNITS[text.removeprefix(digits)]
