"""What a model's predictions of one split come to."""

from typing import Literal

from pydantic import Field

from cifar_dist.documents.document import Document, Split


class Score(Document):
    """One split, evaluated in fp32."""

    split: Split
    images: int
    correct: int
    accuracy: float
    loss: float | None
    """Plain cross-entropy; null if it is not finite."""


class ClassScore(Document):
    """One class against the rest."""

    name: str
    tp: int
    fp: int
    tn: int
    fn: int
    accuracy: float
    precision: float
    recall: float
    specificity: float
    f1: float


class ConfusedPair(Document):
    """Images of one class that were taken for another."""

    true: str
    predicted: str
    images: int


class CalibrationBin(Document):
    """The images whose predicted class has a probability above `low` and up to `high`."""

    low: float
    high: float
    images: int
    confidence: float
    """Mean probability of the predicted class."""
    accuracy: float


class Calibration(Document):
    """How far probabilities are what they say, by 15 bins of equal width."""

    ece: float
    """Expected calibration error: mean distance of confidence and accuracy, weighted by images."""
    bins: list[CalibrationBin]
    """Those that hold images."""
    temperature: float | None
    """What logits are divided by to fit the validation split; null without one."""
    ece_scaled: float | None
    """The error after that division."""


class Evaluation(Document):
    """The full evaluation of one split."""

    score: Score
    per_class: list[ClassScore]
    macro: ClassScore
    """Sums of the classes' counts, plain means of their ratios."""
    confusion_matrix: list[list[int]]
    """Row = true class, column = predicted class."""
    interval: tuple[float, float] | None = None
    """95 % interval of the accuracy (Wilson)."""
    top2: float | None = None
    """Share of images whose class is among the two most probable."""
    confused: list[ConfusedPair] = Field(default_factory=list)
    """Most images first, ten at most."""
    calibration: Calibration | None = None
    augmented: dict[str, Score] = Field(default_factory=dict)
    """By test-time augmentation, where it was asked for."""


class Overfitting(Document):
    """Whether a model does better on what it was trained on, by a rule that is stated."""

    gap: float
    """Training minus validation accuracy in the epoch whose weights are kept."""
    final_gap: float
    """The same in the last epoch."""
    verdict: Literal["none", "later", "kept"]
    """`kept`: the weights that are kept are over-fitted; `later`: those of the last epoch are."""
    rule: str
