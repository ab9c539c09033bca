"""What a run came to, composed and published: its document, its report and the end of the run."""

import hashlib
import platform
import statistics
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cifar_dist import __version__
from cifar_dist.checkpoint import WEIGHTS
from cifar_dist.config import Job
from cifar_dist.documents import (
    DataFacts,
    Provenance,
    SweepCost,
    TrainDocument,
    TrialRow,
    TrialShare,
    TuneDocument,
)
from cifar_dist.errors import RefusedError
from cifar_dist.machine import owned_cpus
from cifar_dist.report.evidence import Evidence
from cifar_dist.report.files import write_run, write_sweep
from cifar_dist.report.overfitting import overfitting
from cifar_dist.runs import SHARE, Run, Sweep, fingerprint, fresh, identity
from cifar_dist.scoring import EVIDENCE
from cifar_dist.search import Space
from cifar_dist.session import Result
from cifar_dist.store import Store
from cifar_dist.store.disk import scratch

_CHECKOUT = Path(__file__).parents[1]


def start_run(store: Store, job: Job, facts: DataFacts, *, again: bool, resume: bool) -> Run:
    """Find or create the run of a job; a finished one is given back as it is.

    Raises RefusedError for an unfinished one unless `resume` or `again` says what to do.
    """
    recipe = job.recipe.model_dump(mode="json")
    name = identity(job.title, fingerprint(recipe, facts.sha256))
    run = Run(store, f"runs/{name}")
    if again and run.exists:
        run = Run(store, f"runs/{fresh(store, 'runs', name)}")
    if not run.exists:
        run.create(run_document(job, facts))
    elif run.finished is None and not resume:
        raise RefusedError(
            f"run {name} was started before and is not finished; continue it with "
            f"`cifar-dist resume {name}`, or start again with --fresh (in Python by resume=True "
            "or fresh=True)"
        )
    return run


def run_document(job: Job, facts: DataFacts) -> dict[str, Any]:
    """Give what a run's head document says: the whole job, its data and its code."""
    return {
        "schema": "cifar-dist/run/1",
        "job": job.model_dump(mode="json"),
        "data": facts.model_dump(mode="json"),
        "code_version": __version__,
    }


def publish_run(
    run: Run, job: Job, result: Result, total_seconds: float, evidence: Evidence | None = None
) -> TrainDocument:
    """Write a run's report and, unless it was interrupted, its result, which ends it."""
    train_seconds = sum(record.seconds for record in result.history)
    images = sum(record.images_per_second * record.seconds for record in result.history)
    document = TrainDocument(
        run=run.prefix.rpartition("/")[2],
        store=run.store.uri,
        state=result.state,
        job=job.model_dump(mode="json"),
        data=DataFacts.model_validate(run.document["data"]),
        provenance=provenance(result.device, result.workers, result.verdict),
        parameters=result.parameters,
        history=result.history,
        best_epoch=result.best_epoch,
        validation=result.validation.score if result.validation else None,
        test=result.test,
        images_per_second=images / train_seconds if train_seconds else 0.0,
        train_seconds=train_seconds,
        total_seconds=total_seconds,
        artifacts=_artifacts(run, job, result),
        attempts=run.attempts(),
        storage=result.storage,
        validation_evaluation=result.validation,
        overfitting=overfitting(result.history, result.best_epoch),
    )
    if document.state == "interrupted":
        return document
    with scratch() as folder:
        write_run(document, folder, evidence or Evidence())
        run.write_report(folder)
    run.finish(document.model_dump(mode="json"))
    return document


def _artifacts(run: Run, job: Job, result: Result) -> dict[str, str]:
    best = run.best()
    artifacts = {"job": run.key(run.HEAD), "report": run.key("report")}
    if best is not None:
        artifacts |= {"checkpoint": best.folder, "weights": f"{best.folder}/{WEIGHTS}"}
    if job.tensorboard != "off" and result.history:
        artifacts["tensorboard"] = run.key("tensorboard")
    if result.validation or result.test:
        artifacts["evidence"] = run.key(EVIDENCE)
    return artifacts


def compose_sweep(
    sweep: Sweep, space: Space, trials: list[TrialRow], cost: SweepCost
) -> TuneDocument:
    """Compose a sweep's document; who won and what it came to is not known yet."""
    states = [trial.state for trial in trials]
    starts = [trial.start_seconds for trial in trials if trial.start_seconds is not None]
    verdict = sweep.recorded("precision.json") or {"name": "none", "reason": "no trial began"}
    share = sweep.recorded(SHARE)
    return TuneDocument(
        sweep=sweep.prefix.rpartition("/")[2],
        store=sweep.store.uri,
        space=space.model_dump(mode="json", exclude={"job"}),
        job=space.job.model_dump(mode="json"),
        data=DataFacts.model_validate(sweep.document["data"]),
        provenance=provenance(
            verdict.get("device", "none"), space.job.placement.workers or 1, verdict
        ),
        trials=trials,
        best=None,
        best_job=None,
        winner_run=None,
        validation=None,
        test=None,
        finished=states.count("finished"),
        pruned=states.count("pruned"),
        failed=states.count("failed"),
        start_seconds_median=statistics.median(starts) if starts else None,
        cost=cost,
        artifacts={"report": sweep.key("report"), "space": sweep.key(sweep.HEAD)},
        trial_share=TrialShare.model_validate(share) if share else None,
    )


def publish_sweep(
    sweep: Sweep, document: TuneDocument, evidence: Evidence, extension: int = 0
) -> None:
    """Write a sweep's report and its result, which ends it or one of its extensions."""
    report_sweep(sweep, document, evidence)
    sweep.finish(document.model_dump(mode="json"), extension)


def report_sweep(sweep: Sweep, document: TuneDocument, evidence: Evidence) -> None:
    """Write a sweep's newest report; the evidence is its winner's."""
    with scratch() as folder:
        write_sweep(document, folder, evidence)
        sweep.write_report(folder)


def provenance(device: str, workers: int, verdict: dict[str, Any]) -> Provenance:
    """Say what a result was made with, on this machine."""
    return Provenance(
        code_version=__version__,
        code_revision=_revision(),
        python=platform.python_version(),
        torch=version("torch"),
        device=device,
        cpus=owned_cpus(),
        workers=workers,
        precision=verdict["name"],
        precision_reason=verdict["reason"],
        lock_sha256=_lock_sha256(),
    )


def _revision() -> str | None:
    if not (_CHECKOUT / ".git").exists():
        return None
    command = ["git", "-C", str(_CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def _lock_sha256() -> str | None:
    path = _CHECKOUT / "requirements.lock"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
