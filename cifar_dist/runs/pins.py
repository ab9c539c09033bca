"""Names that people give to checkpoints, which then stay."""

from cifar_dist.documents import PinsDocument
from cifar_dist.errors import ConfigError, RefusedError
from cifar_dist.problems import nearest, shown
from cifar_dist.runs.identity import is_name
from cifar_dist.runs.inventory import LATEST
from cifar_dist.runs.manifest import NAME, Manifest
from cifar_dist.runs.run import BEST, Run
from cifar_dist.store import MissingError


def chosen(run: Run, which: str, step: int | None = None) -> Manifest:
    """Give the checkpoint of a step, the latest or the best one. Raises ConfigError."""
    if step is None and which == BEST:
        manifest = run.best()
    else:
        if step is None and which != LATEST:
            raise ConfigError(f"--checkpoint {shown(which)}: give {BEST} or {LATEST}")
        found = run.checkpoints()
        fitting = [each for each in found if step is None or each.step == step]
        if found and not fitting:
            there = ", ".join(str(each.step) for each in found)
            raise ConfigError(f"{run.prefix} has no checkpoint of step {step}; there are {there}")
        manifest = fitting[0] if fitting else None
    if manifest is None:
        raise RefusedError(f"{run.prefix} has no checkpoint yet; wait for its first epoch")
    return manifest


def pin(run: Run, name: str, manifest: Manifest) -> None:
    """Let a name point at a checkpoint. Raises ConfigError, and RefusedError if it just went."""
    _check(name)
    run.pin(name, manifest)
    try:
        run.manifest(manifest.key)
    except MissingError as error:  # whoever removed it did not see the pin
        run.unpin(name)
        raise RefusedError(
            f"{manifest.folder} was removed while it was pinned; pin another checkpoint"
        ) from error


def unpin(run: Run, name: str) -> None:
    """Let a name point at nothing. Raises ConfigError for one that points at nothing."""
    _check(name)
    if run.pinned_key(name) is None:
        raise unknown(run, name)
    run.unpin(name)


def unknown(run: Run, name: str) -> ConfigError:
    """Say that nobody pinned a name, and which one may have been meant."""
    names = [each for each in run.pins() if each != BEST]
    hint = nearest(name, names) if names else "nothing is pinned"
    return ConfigError(f"{run.prefix} has no pin {shown(name)}; {hint}")


def listed(run: Run) -> PinsDocument:
    """List the names that point at a run's checkpoints."""
    pins = {name: key.removesuffix(f"/{NAME}") for name, key in run.pins().items()}
    return PinsDocument(store=run.store.uri, run=run.prefix, pins=pins)


def _check(name: str) -> None:
    if not is_name(name):
        raise ConfigError(
            f"pin {shown(name)}: use up to 41 of a-z, 0-9 and '-', not beginning with '-'"
        )
    if name in (BEST, LATEST):
        raise ConfigError(f"pin {shown(name)}: training moves this name itself; take another one")
