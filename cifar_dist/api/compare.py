"""Runs and sweeps of a store, read for a comparison."""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from cifar_dist.documents import CompareDocument, Split, TrainDocument, TuneDocument
from cifar_dist.errors import CifarDistError, ConfigError, RefusedError
from cifar_dist.evidence import Predictions
from cifar_dist.report.comparison import (
    Contender,
    comparison,
    run_column,
    sweep_column,
)
from cifar_dist.runs import Run, Sweep, locate
from cifar_dist.store import Store

MOST = 6
_LEAST = 2
log = logging.getLogger(__name__)


def compare(store: Store, names: Sequence[str]) -> CompareDocument:
    """Compare finished runs and winners of sweeps. Raises ConfigError, RefusedError."""
    if not _LEAST <= len(names) <= MOST:
        raise ConfigError(f"{len(names)} named; compare from {_LEAST} to {MOST} runs or sweeps")
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise ConfigError(f"{name} is named {times} times; name each run once")
    return comparison(store.uri, [_contender(locate(store, name)) for name in names])


def _contender(found: Run | Sweep) -> Contender:
    if isinstance(found, Run):
        document = TrainDocument.model_validate(_result(found))
        return Contender(run_column(document), _recipe(document.job), _predictions(found))
    swept = TuneDocument.model_validate(_result(found))
    if swept.best is None or swept.winner_run is None:
        raise RefusedError(f"{found.prefix} has no winner, as all its trials failed; leave it out")
    run = Run(found.store, swept.winner_run)
    is_trial = swept.winner_run.startswith(f"{found.prefix}/")
    retrained = None if is_trial else TrainDocument.model_validate(_result(run))
    recipe = _recipe(swept.best_job or {} if retrained is None else retrained.job)
    return Contender(sweep_column(swept, retrained), recipe, _predictions(run))


def _result(found: Run | Sweep) -> dict[str, Any]:
    if (result := found.result) is None:
        name = found.prefix.rpartition("/")[2]
        raise RefusedError(
            f"{found.prefix} is not finished; go on with `cifar-dist resume {name}`, or leave it "
            "out of the comparison"
        )
    return result


def _recipe(job: dict[str, Any]) -> dict[str, Any]:
    recipe: dict[str, Any] = job.get("recipe", {})
    return recipe


def _predictions(run: Run) -> dict[Split, Predictions]:
    from cifar_dist.scoring import kept

    try:
        return kept(run).predictions
    except CifarDistError as error:
        log.warning("left out of the comparison reason=%s", error)
        return {}
