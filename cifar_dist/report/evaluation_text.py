"""An evaluation as text: its table, and what goes beyond it."""

from cifar_dist.documents import Calibration, EvaluateDocument, Evaluation
from cifar_dist.report.calibration import BINS
from cifar_dist.report.columns import aligned, printable
from cifar_dist.report.formats import decimal, percent, thousands
from cifar_dist.report.tables import evaluation_table

_VIEWS = {
    "flip": "an image and its mirror image",
    "multi_crop": "five windows of an image and of its mirror image",
}


def evaluation_text(result: Evaluation) -> str:
    """Write the table of an evaluation, its interval, calibration and most confused pairs."""
    lines = []
    if result.interval is not None:
        low, high = result.interval
        lines.append(f"95 % interval of the accuracy (Wilson): {100 * low:.2f}–{percent(high)}")
    if result.top2 is not None:
        lines.append(f"top-2 accuracy: {percent(result.top2)}")
    for name, score in result.augmented.items():
        views = _VIEWS.get(name, name)
        lines.append(
            f"with test-time augmentation by {printable(views)}: {percent(score.accuracy)}, "
            f"loss {decimal(score.loss)}"
        )
    parts = [evaluation_table(result), "\n".join(lines)]
    if result.calibration is not None:
        parts.append(_calibration(result.calibration))
    if result.confused:
        rows = [[pair.true, pair.predicted, thousands(pair.images)] for pair in result.confused]
        parts.append(aligned(["most confused", "taken for", "images"], rows, left=(0, 1)))
    return "\n\n".join(filter(None, parts))


def evaluate_text(document: EvaluateDocument) -> str:
    """Write an evaluation with what was evaluated and on what."""
    data, made = document.data, document.provenance
    facts = [
        f"{printable(document.weights)}: {document.model}, evaluated in fp32 on {made.device}",
        f"data {printable(data.source)}, sha256 {data.sha256}",
        f"split sha256 {data.split_sha256}, seed {document.seed}",
    ]
    if data.sha256 != document.trained_on:
        facts.append(f"other images than the weights were trained on, sha256 {document.trained_on}")
    return "\n".join([*facts, "", evaluation_text(document)])


def _calibration(found: Calibration) -> str:
    lines = [f"expected calibration error ({BINS} equal bins): {percent(found.ece)}"]
    if found.temperature is not None:
        lines.append(
            f"with temperature {found.temperature:.3f}, fitted on the validation split: "
            f"{percent(found.ece_scaled)}"
        )
    header = ["confidence", "images", "mean confidence", "accuracy"]
    rows = [
        [
            f"{part.low:.3f}–{part.high:.3f}",
            thousands(part.images),
            percent(part.confidence),
            percent(part.accuracy),
        ]
        for part in found.bins
    ]
    return "\n".join([*lines, aligned(header, rows)])
