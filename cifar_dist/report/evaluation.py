"""The arithmetic of evaluation: every reported ratio follows from one confusion matrix."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from cifar_dist.documents import ClassScore, ConfusedPair, Evaluation, Score, Split
from cifar_dist.evidence import Predictions
from cifar_dist.report.calibration import calibrated

Z = NormalDist().inv_cdf(0.975)
"""The two-sided 95 % quantile of the normal distribution."""
_PAIRS = 10


def evaluated(
    predictions: Predictions, classes: Sequence[str], validation: Predictions | None = None
) -> Evaluation:
    """Evaluate the predictions of one split; its temperature is fitted on the validation split."""
    count = predictions.logits.shape[1]
    cells = predictions.labels * count + predictions.predicted
    matrix = np.bincount(cells, minlength=count * count).reshape(count, count).tolist()
    loss = float(predictions.losses.mean()) if predictions.is_finite else math.nan
    first_two = np.argsort(-predictions.logits, axis=1, kind="stable")[:, :2]
    found = {
        "top2": float((first_two == predictions.labels[:, None]).any(1).mean()),
        "calibration": calibrated(predictions, validation),
    }
    return evaluation(predictions.split, matrix, loss, classes).model_copy(update=found)


def evaluation(
    split: Split, confusion: Sequence[Sequence[int]], loss: float, classes: Sequence[str]
) -> Evaluation:
    """Evaluate a matrix of [true class][predicted class] counts; a ratio 0/0 counts as 0.

    The macro row has the sums of the classes' counts and the plain means of their ratios.
    A loss that is not finite becomes null.
    """
    matrix = [[int(count) for count in row] for row in confusion]
    per_class = [_one_against_rest(matrix, index, name) for index, name in enumerate(classes)]
    images = sum(map(sum, matrix))
    correct = sum(row[index] for index, row in enumerate(matrix))
    score = Score(
        split=split,
        images=images,
        correct=correct,
        accuracy=_ratio(correct, images),
        loss=loss if math.isfinite(loss) else None,
    )
    return Evaluation(
        score=score,
        per_class=per_class,
        macro=_macro(per_class),
        confusion_matrix=matrix,
        interval=interval(correct, images),
        confused=_confused(matrix, classes),
    )


def interval(correct: int, images: int) -> tuple[float, float]:
    """Give the 95 % interval of an accuracy (Wilson 1927), which stays within 0 and 1."""
    if not images:
        return 0.0, 1.0
    share, z2 = correct / images, Z * Z
    center = (share + z2 / (2 * images)) / (1 + z2 / images)
    spread = share * (1 - share) / images + z2 / (4 * images * images)
    half = Z / (1 + z2 / images) * math.sqrt(spread)
    return max(0.0, center - half), min(1.0, center + half)


def noise(first: float, second: float, images: int) -> float:
    """Give the half width of the 95 % interval of a difference of two accuracies.

    Both count as drawn independently, which overstates it: the trials share their images.
    """
    return Z * math.sqrt((first * (1 - first) + second * (1 - second)) / images)


def most_confused(result: Evaluation, index: int) -> tuple[str, int] | None:
    """Name the class that images of class `index` are most often taken for, and how often."""
    row = [0 if i == index else count for i, count in enumerate(result.confusion_matrix[index])]
    count = max(row, default=0)
    return (result.per_class[row.index(count)].name, count) if count else None


def _confused(matrix: list[list[int]], classes: Sequence[str]) -> list[ConfusedPair]:
    pairs = [
        ConfusedPair(true=classes[true], predicted=classes[predicted], images=images)
        for true, row in enumerate(matrix)
        for predicted, images in enumerate(row)
        if images and true != predicted
    ]
    return sorted(pairs, key=lambda pair: -pair.images)[:_PAIRS]


def _one_against_rest(matrix: list[list[int]], index: int, name: str) -> ClassScore:
    total = sum(map(sum, matrix))
    tp = matrix[index][index]
    fn = sum(matrix[index]) - tp
    fp = sum(row[index] for row in matrix) - tp
    tn = total - tp - fn - fp
    return ClassScore(
        name=name,
        tp=tp,
        fp=fp,
        tn=tn,
        fn=fn,
        accuracy=_ratio(tp + tn, total),
        precision=_ratio(tp, tp + fp),
        recall=_ratio(tp, tp + fn),
        specificity=_ratio(tn, tn + fp),
        f1=_ratio(2 * tp, 2 * tp + fp + fn),
    )


def _macro(rows: Sequence[ClassScore]) -> ClassScore:
    def mean(name: str) -> float:
        return _ratio(math.fsum(getattr(row, name) for row in rows), len(rows))

    return ClassScore(
        name="macro",
        tp=sum(row.tp for row in rows),
        fp=sum(row.fp for row in rows),
        tn=sum(row.tn for row in rows),
        fn=sum(row.fn for row in rows),
        accuracy=mean("accuracy"),
        precision=mean("precision"),
        recall=mean("recall"),
        specificity=mean("specificity"),
        f1=mean("f1"),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
