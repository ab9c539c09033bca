"""Files that come with the package: recipes, which are job files, search spaces, the chart."""

from contextlib import suppress
from pathlib import Path

from cifar_dist.config.text import STDIN
from cifar_dist.errors import ConfigError
from cifar_dist.problems import nearest, shown

_PACKAGE = Path(__file__).parents[1]


def shipped_recipes() -> dict[str, Path]:
    """Give the tuned jobs that come with the package, by name."""
    return _named(_PACKAGE / "recipes")


def shipped_spaces() -> dict[str, Path]:
    """Give the search spaces that come with the package, by name."""
    installed = _PACKAGE / "tune_spaces"
    return _named(installed if installed.is_dir() else _PACKAGE.parent / "tune_spaces")


def shipped_chart() -> Path:
    """Find the folder of the Helm chart. Raises ConfigError where it was left out."""
    installed = _PACKAGE / "helm"
    found = (installed if installed.is_dir() else _PACKAGE.parent / "helm") / "cifar-dist"
    if not (found / "Chart.yaml").is_file():
        raise ConfigError(f"{found} holds no chart; install the package again")
    return found


def recipe_path(name: str) -> Path:
    """Find a recipe by its shipped name, as a file or as -, which is stdin. Raises ConfigError."""
    return _found(name, shipped_recipes(), "recipe")


def space_path(name: str) -> Path:
    """Find a space by its shipped name, as a file or as -, which is stdin. Raises ConfigError."""
    return _found(name, shipped_spaces(), "search space")


def _named(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def _found(name: str, known: dict[str, Path], kind: str) -> Path:
    if name in known:
        return known[name]
    if name == "-":
        return STDIN
    path = Path(name)
    # Whoever reads it says what is wrong with it.
    if path.suffix or len(path.parts) > 1:
        return path
    with suppress(OSError, ValueError):  # a name too long for a file, or with a null byte
        if name and path.exists():
            return path
    raise ConfigError(f"{shown(name)}: neither a file nor a shipped {kind}; {nearest(name, known)}")
