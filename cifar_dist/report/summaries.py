"""What comparisons, exports, predictions and an index say in a terminal."""

import textwrap
from collections import Counter
from collections.abc import Sequence

from cifar_dist.documents import (
    CompareDocument,
    ComparedRun,
    ExportDocument,
    IndexDocument,
    IndexRow,
    OnnxCheck,
    PairedTest,
    PredictDocument,
    RecipeDifference,
    Score,
)
from cifar_dist.report.columns import aligned, printable
from cifar_dist.report.formats import (
    DASH,
    counted,
    decimal,
    duration,
    percent,
    setting,
    size,
    thousands,
)

_WIDTH = 100
_MINUTES = len("2026-01-31 12:00")
_SURE = 0.05  # a p value below it is called a difference
_SMALLEST = 0.0001  # a smaller p value is written as smaller than this
_INDEX = ("id", "kind", "state", "model", "data", "epochs", "validation", "test", "time", "began")
_OVERFITTING = {"none": "no", "later": "after the kept epoch", "kept": "yes"}


def compare_table(document: CompareDocument) -> str:
    """One row per measure and a column per run, the tests of each pair, and what differs."""
    names = [run.name for run in document.runs]
    rows = [[label, *values] for label, values in measures(document).items()]
    parts = [aligned(["", *names], rows)]
    parts += [textwrap.fill(printable(paired_sentence(test)), _WIDTH) for test in document.tests]
    parts.append(
        aligned(
            ["setting", *names],
            [[row.path, *difference_cells(row)] for row in document.differences],
            left=range(len(names) + 1),
        )
        if document.differences
        else "The recipes are the same."
    )
    return "\n\n".join(parts)


def measures(document: CompareDocument) -> dict[str, list[str]]:
    """Give each measure as a row: a value per run, those after the first with their difference."""
    runs = document.runs

    def shares(values: Sequence[float | None]) -> list[str]:
        first = values[0]
        return [
            percent(value) + ("" if not index else _difference(value, first))
            for index, value in enumerate(values)
        ]

    return {
        "model": [run.model for run in runs],
        "test accuracy": shares([_accuracy(run.test) for run in runs]),
        "95 % interval": [_interval(run.test_interval) for run in runs],
        "validation accuracy": shares([_accuracy(run.validation) for run in runs]),
        "training accuracy": shares([run.train_accuracy for run in runs]),
        "test loss": [decimal(run.test.loss if run.test else None) for run in runs],
        "generalization gap": [signed_points(run.generalization_gap) for run in runs],
        "over-fits": [_overfits(run) for run in runs],
        "stability": [decimal(run.stability) for run in runs],
        "parameters": [thousands(run.parameters) for run in runs],
        "kept epoch": [f"{run.best_epoch or DASH} of {run.epochs}" for run in runs],
        "seed": [DASH if run.seed is None else str(run.seed) for run in runs],
        "training time": [duration(run.train_seconds) for run in runs],
        "images/s": [thousands(run.images_per_second) for run in runs],
    }


def paired_sentence(test: PairedTest) -> str:
    """Say what McNemar's test tells of a pair, or why there is none."""
    pair = f"{test.second} against {test.first}"
    if test.split is None or test.difference is None or test.interval is None:
        return f"{pair}: not tested, as {test.reason or 'there is no image'}."
    adjusted = test.p_mid if test.p_adjusted is None else test.p_adjusted
    is_sure = adjusted is not None and adjusted < _SURE
    low, high = (f"{100 * bound:+.1f}" for bound in test.interval)
    more = f", {p_value(adjusted)} corrected for all pairs" if adjusted != test.p_mid else ""
    return (
        f"{pair}: {signed_points(test.difference)} on the same {thousands(test.images)} "
        f"{test.split} images (95 % interval {low} to {high}). {thousands(test.only_second)} are "
        f"recognized by {test.second} alone, {thousands(test.only_first)} by {test.first} alone. "
        f"McNemar's test: mid-p {p_value(test.p_mid)}, exact {p_value(test.p_exact)}{more}: "
        f"{'a difference' if is_sure else 'no sure difference'}."
    )


def difference_cells(row: RecipeDifference) -> list[str]:
    """Write the values of a setting that differs; a run that lacks it has a dash."""
    pairs = zip(row.values, row.present, strict=True)
    return [setting(value) if present else DASH for value, present in pairs]


def predict_table(document: PredictDocument) -> str:
    """One row per image: its most probable classes."""
    rows = [
        [
            row.path,
            *(f"{found.name} {percent(found.probability, 1)}" for found in row.predictions),
            *([row.cam] if row.cam else []),
        ]
        for row in document.images
    ]
    count = len(document.images[0].predictions)
    header = ["image", "prediction", *(f"{place}." for place in range(2, count + 1))]
    header += ["map"] * (len(rows[0]) - len(header))
    return f"{aligned(header, rows, left=range(len(header)))}\nby {printable(document.model)}"


def export_text(document: ExportDocument) -> str:
    """Say what was written and how the graph compares with the model it was made from."""
    rows = [[file.key, size(file.bytes), file.sha256 or DASH] for file in document.files]
    lines = [f"{printable(document.folder)}:", aligned(["file", "size", "sha256"], rows)]
    if document.check is not None:
        lines.append(_checked(document.check))
    return "\n".join(lines)


def index_table(document: IndexDocument) -> str:
    """One row per run and sweep, newest first."""
    rows = [list(index_cells(row).values()) for row in document.rows]
    counts = Counter(row.kind for row in document.rows)
    total = f"{counted(counts['run'], 'run')}, {counted(counts['sweep'], 'sweep')}"
    return f"{aligned(_INDEX, rows, left=range(5))}\n{total}"


def index_cells(row: IndexRow) -> dict[str, str]:
    """Write the columns of an index, by name."""
    return {
        "id": row.id,
        "kind": row.kind if row.trials is None else _searched(row),
        "state": row.state,
        "model": row.model or DASH,
        "data": row.data or DASH,
        "epochs": thousands(row.epochs),
        "validation": percent(row.validation_accuracy),
        "test": percent(row.test_accuracy),
        "time": duration(row.seconds),
        "began": row.began.replace("T", " ")[:_MINUTES],
    }


def _searched(row: IndexRow) -> str:
    won = "none won" if row.best_trial is None else f"trial {row.best_trial} won"
    return f"sweep of {row.trials}, {won}"


def _accuracy(score: Score | None) -> float | None:
    return score.accuracy if score else None


def _interval(bounds: tuple[float, float] | None) -> str:
    return f"{100 * bounds[0]:.1f}–{100 * bounds[1]:.1f} %" if bounds else DASH


def _difference(value: float | None, first: float | None) -> str:
    return "" if value is None or first is None else f" ({100 * (value - first):+.2f})"


def _overfits(run: ComparedRun) -> str:
    return _OVERFITTING[run.overfitting.verdict] if run.overfitting else "not known"


def signed_points(difference: float | None) -> str:
    """Write a difference of two shares in percentage points, with its sign."""
    return DASH if difference is None else f"{100 * difference:+.2f} points"


def p_value(value: float | None) -> str:
    """Write a p value to four decimals."""
    if value is None:
        return DASH
    return f"< {_SMALLEST}" if value < _SMALLEST else f"{value:.4f}"


def _checked(check: OnnxCheck) -> str:
    return (
        f"Largest difference of a logit from PyTorch's on {thousands(check.images)} validation "
        f"images of {printable(check.source)}: {check.max_difference:.2g}; "
        f"{counted(check.disagreements, 'other prediction')} (ONNX Runtime {check.onnxruntime})."
    )
