"""The text tables of the command line and of results.txt: plain, aligned, safe for a terminal."""

import textwrap
from collections.abc import Iterable, Iterator

from cifar_dist.documents import (
    ArtifactsDocument,
    ClassScore,
    DataDocument,
    EpochRecord,
    Evaluation,
    ModelDocument,
    ModelsDocument,
    PreviewDocument,
    ProposedTrial,
    SplitStatistics,
    TrialRow,
    TuneDocument,
)
from cifar_dist.report.columns import aligned, printable
from cifar_dist.report.formats import (
    DASH,
    counted,
    decimal,
    duration,
    percent,
    setting,
    short,
    size,
    thousands,
)
from cifar_dist.report.retention import serving_lines

_WIDTH = 64  # of a layer table, as torchsummary prints it
_LINE_WIDTH = 100
_SETTINGS_WIDTH = 96  # five settings beside the rest of a trial's row
_CHANNELS = ("red", "green", "blue")


def epoch_line(record: EpochRecord, epochs: int, best: int) -> str:
    """Say what an epoch did in one line; `best` is the number of the best epoch so far."""
    digits = len(str(epochs))
    parts = [
        f"epoch {record.epoch:>{digits}}/{epochs}",
        f"train {decimal(record.train_loss)} {percent(record.train_accuracy)}",
    ]
    if record.validation_accuracy is not None:
        loss = decimal(record.validation_loss)
        parts.append(f"val {loss} {percent(record.validation_accuracy)}")
    parts += [
        f"lr {record.lr:.3g}",
        duration(record.seconds),
        f"{thousands(record.images_per_second)} images/s",
    ]
    if record.epoch == best:
        parts.append("best")
    return "  ".join(parts)


def evaluation_table(result: Evaluation) -> str:
    """One row per class against the rest, the macro row, and the accuracy over all classes."""
    score = result.score
    header = [
        "class",
        "TP",
        "FP",
        "TN",
        "FN",
        "accuracy",
        "precision",
        "recall",
        "specificity",
        "F1",
    ]
    body = aligned(header, [_class_row(row) for row in [*result.per_class, result.macro]])
    total = (
        f"{len(result.per_class)}-class accuracy {percent(score.accuracy)} "
        f"({thousands(score.correct)} of {thousands(score.images)} {score.split} images), "
        f"loss {decimal(score.loss)}"
    )
    note = "macro: sums of the counts, means of the ratios; a ratio 0/0 counts as 0"
    return f"{total}\n\n{body}\n\n{note}"


def trials_table(document: TuneDocument) -> str:
    """All trials with validation accuracy and loss, the winner marked; a line per failed one."""
    header = ["trial", "state", "epochs", "best", "accuracy", "loss", "settings"]
    names = setting_names(document)
    rows = [_trial_row(trial, names, document.best) for trial in document.trials]
    body = aligned(header, _continued(rows), left=(0, 1, 6))
    failed = [trial for trial in document.trials if trial.state == "failed"]
    lines = [f"trial {t.trial} failed: {printable(t.reason or 'no reason given')}" for t in failed]
    return "\n".join([body, *lines])


def preview_table(document: PreviewDocument) -> str:
    """What a sweep would try: how much there is, and its first trials."""
    names = setting_names(document)
    rows = [[str(trial.trial), _settings(trial, names)] for trial in document.trials]
    endless = "any number, as ranges are continuous"
    size = endless if document.grid_size is None else thousands(document.grid_size)
    lines = [
        textwrap.fill(f"{document.name}: {printable(document.description)}", _LINE_WIDTH),
        f"{counted(document.count, 'trial')} by {document.sampler} sampling; "
        f"configurations in the space: {size}",
        aligned(["trial", "settings"], _continued(rows), left=(0, 1)),
    ]
    if document.count > len(rows):
        lines.append(f"… and {thousands(document.count - len(rows))} more")
    return "\n".join(lines)


def setting_names(document: TuneDocument | PreviewDocument) -> dict[str, str]:
    """Give each overridden path its shortest clear name: `recipe.optimizer.name` is `optimizer`."""
    paths = list(dict.fromkeys(path for trial in document.trials for path in trial.parameters))
    last = {path: path.removesuffix(".name").rpartition(".")[2] for path in paths}
    names = list(last.values())
    return {
        path: path.removeprefix("recipe.") if name.isdecimal() or names.count(name) > 1 else name
        for path, name in last.items()
    }


def layer_table(document: ModelDocument) -> str:
    """List the layers as torchsummary does: type and index, output shape, parameters."""
    head = f"{'Layer (type)':>20} {'Output Shape':>25} {'Param #':>15}"
    rows = [
        f"{f'{row.type}-{row.index}':>20} {[-1, *row.output_shape]!s:>25} {row.parameters:>15,}"
        for row in document.layers
    ]
    labels = {
        "Input size": "input",
        "Forward/backward pass size": "activations",
        "Params size": "parameters",
        "Estimated total size": "total",
    }
    sizes = [
        f"{label} (MB): {document.megabytes[key]:.2f}"
        for label, key in labels.items()
        if key in document.megabytes
    ]
    totals = [
        f"Total params: {document.parameters:,}",
        f"Multiply-accumulates (32×32 image): {document.multiply_accumulates:,}",
    ]
    thin, thick = "-" * _WIDTH, "=" * _WIDTH
    footer = [thick, *totals, thin, *sizes, thin] if sizes else [thick, *totals, thin]
    return "\n".join([thin, head, thick, *rows, *footer])


def receptive_field_table(document: ModelDocument) -> str:
    """How far each layer sees: output size, distance of neighbors and field in input pixels."""
    header = ["layer", "kernel", "stride", "padding", "dilation", "size", "jump", "field"]
    rows = [
        [row.layer, *(str(getattr(row, name)) for name in header[1:])]
        for row in document.receptive_field
    ]
    return aligned(header, rows)


def models_table(document: ModelsDocument) -> str:
    """The zoo, one row per architecture."""
    header = ["model", "what it is", "parameters", "MMACs"]
    rows = [
        [m.name, m.description, thousands(m.parameters), f"{m.multiply_accumulates / 1e6:,.1f}"]
        for m in document.models
    ]
    return aligned(header, rows, left=(0, 1))


def statistics_table(document: DataDocument) -> str:
    """Per split and channel the statistics of pixels scaled to 0…1, then the class counts."""
    header = ["split", "channel", "count", "shape", "min", "max", "mean", "std", "var"]
    rows = [row for split in document.splits for row in _channel_rows(split)]
    counts = [
        [name, *(thousands(split.class_counts.get(name)) for split in document.splits)]
        for name in document.data.classes
    ]
    classes = aligned(["class", *(split.split for split in document.splits)], counts)
    return f"{aligned(header, rows, left=(0, 1))}\n\n{classes}"


def artifacts_table(document: ArtifactsDocument) -> str:
    """Objects of a store with size, hash, time and, where they were checked, the verdict."""
    rows = [
        [row.key, row.verdict or DASH, size(row.bytes), short(row.sha256), _minute(row.modified)]
        for row in document.artifacts
    ]
    header = ["key", "verdict", "size", "sha256", "written (UTC)"]
    if all(row.modified is None for row in document.artifacts):
        header, rows = header[:-1], [row[:-1] for row in rows]
    total = f"{counted(len(rows), 'object')}, {size(sum(row.bytes for row in document.artifacts))}"
    serving = serving_lines(document.serving)
    return "\n".join([aligned(header, rows, left=(0, 1)), total, *serving])


def _minute(moment: str | None) -> str:
    return DASH if moment is None else moment.replace("T", " ")[:16]


def _class_row(row: ClassScore) -> list[str]:
    counts = [thousands(row.tp), thousands(row.fp), thousands(row.tn), thousands(row.fn)]
    ratios = [row.accuracy, row.precision, row.recall, row.specificity, row.f1]
    return [row.name, *counts, *(decimal(ratio) for ratio in ratios)]


def _trial_row(trial: TrialRow, names: dict[str, str], best: int | None) -> list[str]:
    return [
        f"{trial.trial} *" if trial.trial == best else str(trial.trial),
        trial.state,
        str(trial.epochs),
        DASH if trial.best_epoch is None else str(trial.best_epoch),
        percent(trial.validation_accuracy),
        decimal(trial.validation_loss),
        _settings(trial, names),
    ]


def _settings(trial: TrialRow | ProposedTrial, names: dict[str, str]) -> str:
    pairs = trial.parameters.items()
    return " ".join(f"{names[path]}={setting(value)}" for path, value in pairs) or "the base job"


def _continued(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    """Break a long last cell and continue it in rows of its own."""
    for *others, last in rows:
        lines = textwrap.wrap(last, _SETTINGS_WIDTH, break_long_words=False, break_on_hyphens=False)
        for line in lines or [""]:
            yield [*others, line]
            others = [""] * len(others)


def _channel_rows(split: SplitStatistics) -> list[list[str]]:
    shape = "×".join(map(str, split.shape))
    values = zip(split.min, split.max, split.mean, split.std, split.variance, strict=True)
    return [
        [split.split, name, thousands(split.images), shape, *(f"{value:.8f}" for value in row)]
        for name, row in zip(_CHANNELS, values, strict=True)
    ]
