"""A finished sweep's best configurations, trained again with seeds that it did not use."""

from typing import TYPE_CHECKING

from cifar_dist.api.run import run_job
from cifar_dist.errors import ConfigError, InterruptedRunError

if TYPE_CHECKING:
    from cifar_dist.api.follower import Follower
    from cifar_dist.config import Job
    from cifar_dist.documents import TrialRow, TuneDocument

FEWEST_SEEDS = 2
DEFAULT_SEEDS = 3
_SEEDS = 2**63  # as many as a job may name
_TITLE = 33  # characters of a sweep's id that leave room for the rest of a run's title


def check_confirmation(top: int | None, seeds: int | None) -> None:
    """Raise ConfigError for numbers that compare nothing."""
    if top is None and seeds is not None:
        raise ConfigError(f"seeds={seeds}: says how often --confirm trains; give --confirm K, too")
    if top is not None and top < 1:
        raise ConfigError(f"confirm={top}: must be at least 1 configuration")
    if seeds is not None and seeds < FEWEST_SEEDS:
        raise ConfigError(f"seeds={seeds}: an interval needs at least {FEWEST_SEEDS}")


def confirm_sweep(
    job: "Job", document: "TuneDocument", follower: "Follower", top: int | None, seeds: int | None
) -> "TuneDocument":
    """Train the `top` best of a sweep of this base job with further seeds, to all their epochs.

    Each is an ordinary run, but for the test split, which it leaves unread; those that ended before
    are not trained again. None trains nothing, as does a sweep without a winner. Raises
    InterruptedRunError.
    """
    if top is None or document.best is None:
        return document
    from cifar_dist.api.evidence import winners_evidence
    from cifar_dist.outcome import report_sweep
    from cifar_dist.report.confirmation import confirmation
    from cifar_dist.runs import Sweep
    from cifar_dist.store import open_store

    if not document.data.validation_images:
        raise ConfigError(
            f"sweep {document.sweep} has no validation split to confirm its winner by; set "
            "recipe.validation_fraction"
        )
    chosen = _best(document, top)
    first = job.recipe.seed + 1
    further = [(first + number) % _SEEDS for number in range(seeds or DEFAULT_SEEDS)]
    known, trials = document.confirmed, [row.trial for row in chosen]
    if known and known.seeds == further and [row.trial for row in known.trials] == trials:
        return document
    results: dict[int, list[tuple[str, float | None]]] = {row.trial: [] for row in chosen}
    for seed in further:
        for row in chosen:
            follower.note(f"confirming trial {row.trial} with seed {seed}")
            results[row.trial].append(_trained(job, document, row, seed, follower))
    found = confirmation(further, results)
    document = document.model_copy(update={"confirmed": found})
    sweep = Sweep(open_store(job.store, job.s3), f"sweeps/{document.sweep}")
    report_sweep(sweep, document, winners_evidence(sweep.store, document))
    sweep.confirm(found.model_dump(mode="json"))
    return document


def _best(document: "TuneDocument", top: int) -> list["TrialRow"]:
    """Give the winner and its nearest rivals, as far as they have a score."""
    from cifar_dist.search import rank

    scored = [row for row in document.trials if row.validation_accuracy is not None]
    return rank(row for row in scored if row.state != "failed")[:top]


def _trained(
    job: "Job", document: "TuneDocument", row: "TrialRow", seed: int, follower: "Follower"
) -> tuple[str, float | None]:
    """Give a run's id and its validation accuracy, None if it diverged."""
    from cifar_dist.config import patched

    name = f"{document.sweep[:_TITLE]}-confirm"
    changes = {**row.parameters, "recipe.seed": seed, "name": name, "test": False}
    trained = run_job(patched(job, changes), follower, resume=True)
    if trained.state == "interrupted":
        raise InterruptedRunError(
            f"run {trained.run} was interrupted and is committed; ask for the same confirmation "
            "again to go on, which trains no finished run again"
        )
    if trained.state == "failed" or trained.validation is None:
        return trained.run, None
    return trained.run, trained.validation.accuracy
