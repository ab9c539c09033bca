"""The arithmetic of a comparison: runs side by side, and tests on the same images."""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from cifar_dist.documents import (
    CompareDocument,
    ComparedRun,
    EpochRecord,
    PairedTest,
    RecipeDifference,
    Score,
    Split,
    TrainDocument,
    TuneDocument,
)
from cifar_dist.evidence import Predictions
from cifar_dist.report.evaluation import interval
from cifar_dist.report.formats import flattened
from cifar_dist.report.mcnemar import exact_p, holm, mid_p, paired_interval
from cifar_dist.report.overfitting import overfitting

STABILITY_EPOCHS = 5


@dataclass(frozen=True)
class Contender:
    """A run as it is compared: its column, its recipe and what it says of each image."""

    column: ComparedRun
    recipe: Mapping[str, Any]
    predictions: Mapping[Split, Predictions] = field(default_factory=dict)


def comparison(store: str, contenders: Sequence[Contender]) -> CompareDocument:
    """Compare two runs or more."""
    columns = [contender.column for contender in contenders]
    return CompareDocument(
        store=store,
        runs=columns,
        tests=_adjusted([_paired(*pair) for pair in combinations(contenders, 2)]),
        differences=differences([contender.recipe for contender in contenders]),
        same_data=len({column.data.sha256 for column in columns}) == 1,
        same_split=len({(c.data.sha256, c.data.split_sha256) for c in columns}) == 1,
    )


def run_column(document: TrainDocument) -> ComparedRun:
    """Give a run's column."""
    recipe = document.job.get("recipe", {})
    return _column(
        name=document.run,
        kind="run",
        recipe=recipe,
        parameters=document.parameters,
        data=document.data,
        best_epoch=document.best_epoch or None,
        test=document.test.score if document.test else None,
        validation=document.validation,
        train_seconds=document.train_seconds,
        images_per_second=document.images_per_second,
        history=document.history,
    )


def sweep_column(document: TuneDocument, retrained: TrainDocument | None = None) -> ComparedRun:
    """Give the column of a sweep's winner: as it was searched, or as it was trained again."""
    named = {"name": document.sweep, "kind": "sweep"}
    if retrained is not None:
        return run_column(retrained).model_copy(update=named)
    winner = next(trial for trial in document.trials if trial.trial == document.best)
    return _column(
        **named,
        recipe=(document.best_job or {}).get("recipe", {}),
        parameters=None,
        data=document.data,
        best_epoch=winner.best_epoch,
        test=document.test.score if document.test else None,
        validation=document.validation,
        train_seconds=winner.train_seconds,
        images_per_second=winner.history[-1].images_per_second if winner.history else None,
        history=winner.history,
    )


def differences(recipes: Sequence[Mapping[str, Any]]) -> list[RecipeDifference]:
    """List the settings that differ, by path, in the order in which recipes name them."""
    flat = [dict(flattened(recipe)) for recipe in recipes]
    paths = dict.fromkeys(path for settings in flat for path in settings)
    return [
        RecipeDifference(
            path=path,
            values=[settings.get(path) for settings in flat],
            present=[path in settings for settings in flat],
        )
        for path in paths
        if any(path not in settings or settings[path] != flat[0].get(path) for settings in flat)
    ]


def stability(history: Sequence[EpochRecord]) -> float | None:
    """Give the sample deviation of the validation loss over the last epochs, None below two."""
    losses = [record.validation_loss for record in history[-STABILITY_EPOCHS:]]
    known = [loss for loss in losses if loss is not None]
    return statistics.stdev(known) if len(known) > 1 else None


def _column(recipe: Mapping[str, Any], best_epoch: int | None, **facts: Any) -> ComparedRun:
    test, validation = facts["test"], facts["validation"]
    kept = next((r for r in facts["history"] if r.epoch == best_epoch), None)
    trained = kept.train_accuracy if kept else None
    return ComparedRun(
        **facts,
        model=recipe.get("model", {}).get("name", "–"),
        seed=recipe.get("seed"),
        epochs=len(facts["history"]),
        best_epoch=best_epoch,
        test_interval=interval(test.correct, test.images) if test else None,
        train_accuracy=trained,
        generalization_gap=_gap(trained, test or validation),
        overfitting=overfitting(facts["history"], best_epoch) if best_epoch else None,
        stability=stability(facts["history"]),
    )


def _gap(trained: float | None, score: Score | None) -> float | None:
    return None if trained is None or score is None else trained - score.accuracy


def _paired(first: Contender, second: Contender) -> PairedTest:
    facts: dict[str, Any] = {"first": first.column.name, "second": second.column.name}
    if reason := _incomparable(first, second):
        return PairedTest(**facts, split=None, reason=reason)
    split = next(_shared(first, second))
    one, other = first.predictions[split].is_correct, second.predictions[split].is_correct
    only_first, only_second = int((one & ~other).sum()), int((~one & other).sum())
    images = len(one)
    return PairedTest(
        **facts,
        split=split,
        images=images,
        both=int((one & other).sum()),
        only_first=only_first,
        only_second=only_second,
        neither=int((~one & ~other).sum()),
        difference=(only_second - only_first) / images if images else None,
        interval=paired_interval(only_first, only_second, images),
        p_exact=exact_p(only_first, only_second),
        p_mid=mid_p(only_first, only_second),
    )


def _incomparable(first: Contender, second: Contender) -> str | None:
    """Say why there are no images that both predicted; None if there are."""
    if first.column.data.sha256 != second.column.data.sha256:
        return "their images are not the same: the data's SHA-256 differs"
    for contender in (first, second):
        if not contender.predictions:
            return f"{contender.column.name} kept no predictions of single images"
    if next(_shared(first, second), None) is None:
        return "they share no split whose images both predicted"
    return None


def _shared(first: Contender, second: Contender) -> Iterator[Split]:
    """Name the splits of which both predicted the same images, test first."""
    splits: list[Split] = ["test"]
    if first.column.data.split_sha256 == second.column.data.split_sha256:
        splits.append("validation")
    for split in splits:
        one, other = first.predictions.get(split), second.predictions.get(split)
        if one is not None and other is not None and np.array_equal(one.labels, other.labels):
            yield split


def _adjusted(tests: Iterable[PairedTest]) -> list[PairedTest]:
    rows = list(tests)
    tested = [row.p_mid for row in rows if row.p_mid is not None]
    corrected = iter(holm(tested))
    return [
        row if row.p_mid is None else row.model_copy(update={"p_adjusted": next(corrected)})
        for row in rows
    ]
