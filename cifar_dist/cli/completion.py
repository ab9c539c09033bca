"""What a shell offers on Tab: names that are known offline and without torch."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import typer

from cifar_dist.errors import CifarDistError


def models(incomplete: str) -> list[str]:
    """Offer the architectures."""
    from cifar_dist.config import components

    return _matching(components()["recipe.model"].names, incomplete)


def jobs(incomplete: str) -> list[str]:
    """Offer the shipped recipes and job files."""
    from cifar_dist.config import shipped_recipes

    return _matching([*shipped_recipes(), *_files(incomplete)], incomplete)


def spaces(incomplete: str) -> list[str]:
    """Offer the shipped spaces and space files."""
    from cifar_dist.config import shipped_spaces

    return _matching([*shipped_spaces(), *_files(incomplete)], incomplete)


def schemas(incomplete: str) -> list[str]:
    """Offer what `schema` prints."""
    from cifar_dist.documents import DOCUMENTS

    return _matching(["job", "components", "values", *DOCUMENTS], incomplete)


def runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the runs and sweeps of a store that is a folder."""
    from cifar_dist.store import open_store

    uri = ctx.params.get("store") or os.environ.get("CIFAR_DIST_STORE") or "artifacts"
    if uri.startswith("s3:"):
        return []  # Tab waits for no network
    with suppress(CifarDistError):
        store = open_store(uri)
        names = [name for kind in ("runs", "sweeps") for name in store.folders(kind)]
        return _matching(names, incomplete)
    return []


def _matching(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _files(incomplete: str) -> list[str]:
    folder = Path(incomplete).parent if "/" in incomplete else Path()
    with suppress(OSError):
        return sorted(str(path) for path in folder.glob("*.y*ml"))
    return []
