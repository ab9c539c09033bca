"""The zoo: one architecture family per file of this folder, found by scanning it."""

import importlib
import pkgutil

from cifar_dist.models.zoo import MODELS, SupportsWhitening

for _family in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_family.name}")

__all__ = ["MODELS", "SupportsWhitening"]
