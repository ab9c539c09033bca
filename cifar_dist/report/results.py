"""results.txt: the numbers of a result and everything that they come from."""

import textwrap

from cifar_dist.documents import (
    DataFacts,
    Evaluation,
    Provenance,
    SweepCost,
    TrainDocument,
    TuneDocument,
)
from cifar_dist.report.attempts import attempt_line, storage_line
from cifar_dist.report.columns import printable
from cifar_dist.report.confirmation import confirmation_table
from cifar_dist.report.cost import cpu_seconds, gpu_seconds
from cifar_dist.report.evaluation_text import evaluation_text
from cifar_dist.report.formats import DASH, counted, decimal, duration, thousands
from cifar_dist.report.study import Study
from cifar_dist.report.study_text import study_tables
from cifar_dist.report.tables import trials_table
from cifar_dist.report.verdict import run_verdict, sweep_verdict


def run_results(document: TrainDocument) -> str:
    """Write a run's evaluation beside data, split, seed and code."""
    recipe = document.job.get("recipe", {})
    facts = {
        "run": f"{document.run} ({document.state})",
        "store": document.store,
        "model": f"{recipe.get('model', {}).get('name', DASH)}, "
        f"{thousands(document.parameters)} parameters, weights of epoch {document.best_epoch}",
        **_origin(document.data, document.provenance, recipe.get("seed", DASH)),
        "trained": f"{_trained(document)}, {thousands(document.images_per_second)} images/s",
        "held": f"{duration(cpu_seconds(document))} of CPUs, "
        f"{duration(gpu_seconds(document))} of GPUs in training steps",
        **_kept(document),
    }
    notes = [textwrap.fill(document.overfitting.rule, 100)] if document.overfitting else []
    return _text(facts, run_verdict(document), [_evaluated(document.test), *notes])


def sweep_results(document: TuneDocument, known: Study | None = None) -> str:
    """Write a sweep's trials and its winner's evaluation beside data, split, seed and code.

    What is `known` of it stands between them.
    """
    seed = document.job.get("recipe", {}).get("seed", DASH)
    facts = {
        "sweep": document.sweep,
        "store": document.store,
        "trials": f"{document.finished} finished, {document.pruned} pruned, "
        f"{document.failed} failed",
        **_origin(document.data, document.provenance, seed),
        "took": duration(document.cost.wall_seconds),
        **_share(document),
        **_planned(document.cost),
    }
    studied = study_tables(known) if known else []
    tables = [trials_table(document), *_confirmed(document), *studied, _evaluated(document.test)]
    return _text(facts, sweep_verdict(document), tables)


def _share(document: TuneDocument) -> dict[str, str]:
    found = document.trial_share
    return {"each trial": f"{counted(found.cpus, 'CPU')}: {found.reason}"} if found else {}


def _planned(cost: SweepCost) -> dict[str, str]:
    if cost.actual_over_planned is None:
        return {}
    return {
        "held": f"{duration(cost.cpu_seconds)} of CPUs, {duration(cost.gpu_seconds)} of GPUs, "
        f"{decimal(cost.actual_over_planned, 2)} × what the first timed steps let expect"
    }


def _confirmed(document: TuneDocument) -> list[str]:
    return [confirmation_table(document.confirmed)] if document.confirmed else []


def _origin(data: DataFacts, made: Provenance, seed: object) -> dict[str, str]:
    return {
        "data": f"{data.source}, sha256 {data.sha256}",
        "split": f"{thousands(data.train_images)} training, {thousands(data.validation_images)} "
        f"validation, {thousands(data.test_images)} test images",
        "split hash": f"sha256 {data.split_sha256}",
        "seed": str(seed),
        "code": f"cifar-dist {made.code_version}, revision {made.code_revision or DASH}",
        "lock": f"sha256 {made.lock_sha256 or DASH}",
        "hardware": f"{made.device}, {made.cpus} CPUs, workers: {made.workers}",
        "precision": f"{made.precision} ({made.precision_reason}); evaluated in fp32",
    }


def _trained(document: TrainDocument) -> str:
    steps, total = duration(document.train_seconds), duration(document.total_seconds)
    if len(document.attempts) > 1:
        return f"{steps} over all attempts, {total} of the last attempt in all"
    return f"{steps} of {total}"


def _kept(document: TrainDocument) -> dict[str, str]:
    facts = {}
    if len(document.attempts) > 1:
        facts["attempts"] = "; ".join(map(attempt_line, document.attempts))
    if document.storage is not None:
        facts["storage"] = storage_line(document.storage)
    return facts


def _evaluated(test: Evaluation | None) -> str:
    return evaluation_text(test) if test else "The test split was not evaluated."


def _text(facts: dict[str, str], verdict: list[str], tables: list[str]) -> str:
    width = max(map(len, facts))
    lines = [f"{name:<{width}}  {printable(value)}" for name, value in facts.items()]
    sentences = "\n".join(
        textwrap.fill(sentence, 100, break_on_hyphens=False) for sentence in verdict
    )
    return "\n\n".join(["\n".join(lines), sentences, *tables]) + "\n"
