"""The program as a library: runs, sweeps and models, for Python and for the command line.

Nothing is printed on stdout. `progress` shows bars on stderr or in the notebook; left out, it does
where someone is looking: in a terminal and in a notebook.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cifar_dist.api.model import load_model
from cifar_dist.api.notebook import follower
from cifar_dist.api.report import figures
from cifar_dist.errors import ConfigError

if TYPE_CHECKING:
    from cifar_dist.config import Job
    from cifar_dist.documents import TrainDocument, TuneDocument
    from cifar_dist.search import Space

__all__ = ["figures", "load_model", "train", "tune"]

_FILE = str | os.PathLike[str]


def train(
    job: "Job | Mapping[str, Any] | _FILE",
    *,
    resume: bool = False,
    fresh: bool = False,
    progress: bool | None = None,
) -> "TrainDocument":
    """Train a job: plain data, a YAML file, a shipped recipe's name or a Job.

    A finished run is given back as it is; `resume` continues one that was interrupted, `fresh`
    starts again under a new id. The first Ctrl-C commits what there is and raises
    InterruptedRunError; everything raised on purpose is a CifarDistError.
    """
    from cifar_dist.api.run import check_ended, run_job

    _check_either(fresh, resume)
    document = run_job(_job(job), follower(progress), again=fresh, resume=resume)
    check_ended(document)
    return document


def tune(  # noqa: PLR0913 - a command's flags
    space: "Space | Mapping[str, Any] | _FILE",
    *,
    store: _FILE | None = None,
    resume: bool = False,
    fresh: bool = False,
    extend: int | None = None,
    confirm: int | None = None,
    seeds: int | None = None,
    progress: bool | None = None,
) -> "TuneDocument":
    """Search a space: plain data, a YAML file, a shipped space's name or a Space.

    `store` takes the place of the job's own. A finished sweep is given back as it is; `resume`
    continues one that was interrupted, `extend` adds so many trials, `fresh` starts again under a
    new id; `confirm` trains so many of the best again with further `seeds`, 3 if left out. Raises
    CifarDistError.
    """
    from cifar_dist.api.confirm import check_confirmation, confirm_sweep
    from cifar_dist.api.sweep import Again, check_won, run_sweep

    check_confirmation(confirm, seeds)
    asked = _space(space)
    if store is not None:
        asked = asked.changed({"store": os.fspath(store)}, None)
    again = Again(fresh=fresh, resume=resume, extend=extend)
    document = run_sweep(asked, {}, follower(progress), again)
    check_won(document)
    return confirm_sweep(asked.job, document, follower(progress), confirm, seeds)


def _check_either(fresh: bool, resume: bool) -> None:
    if fresh and resume:
        raise ConfigError("fresh starts again and resume continues; give one of them")


def _job(job: "Job | Mapping[str, Any] | _FILE") -> "Job":
    from cifar_dist.config import Job, load_job, parse_job, recipe_path

    if isinstance(job, Job):
        return job
    if isinstance(job, str | os.PathLike):
        return load_job(recipe_path(os.fspath(job)))
    return parse_job(dict(job))


def _space(space: "Space | Mapping[str, Any] | _FILE") -> "Space":
    from cifar_dist.api.sweep import named
    from cifar_dist.search import Space, space_path

    if isinstance(space, str | os.PathLike):
        path = space_path(os.fspath(space))
        return named(Space.load(path), path)
    return space if isinstance(space, Space) else Space.parse(dict(space))
