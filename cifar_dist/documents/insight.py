"""What is read out of finished work: comparisons, exports, single predictions, an index."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from cifar_dist.documents.document import Document, Split
from cifar_dist.documents.evaluation import Overfitting, Score
from cifar_dist.documents.listings import ArtifactRow
from cifar_dist.documents.results import DataFacts, EpochRecord

ExportFormat = Literal["safetensors", "torch", "onnx"]


class ComparedRun(Document):
    """One column of a comparison: a run, or the winner of a sweep."""

    name: str
    kind: Literal["run", "sweep"]
    model: str
    parameters: int | None
    """Null for the winner of a sweep, unless it was trained again."""
    data: DataFacts
    seed: int | None
    epochs: int
    best_epoch: int | None
    """The epoch whose weights are kept."""
    test: Score | None
    test_interval: tuple[float, float] | None
    """95 %, after Wilson."""
    validation: Score | None
    train_accuracy: float | None
    """In the kept epoch, while training: of augmented images, with dropout."""
    generalization_gap: float | None
    """Training minus test accuracy; without a test minus validation accuracy."""
    overfitting: Overfitting | None
    """Null without a validation split."""
    stability: float | None
    """Standard deviation of the validation loss over the last 5 epochs; null below 2 epochs."""
    train_seconds: float
    images_per_second: float | None
    history: list[EpochRecord]


class PairedTest(Document):
    """Two runs on the same images: McNemar's test on those that only one of them gets right."""

    first: str
    second: str
    split: Split | None
    """Null where there is no test; the reason says why."""
    reason: str | None = None
    images: int = 0
    both: int = 0
    """Images that both recognize."""
    only_first: int = 0
    only_second: int = 0
    neither: int = 0
    difference: float | None = None
    """Accuracy of the second minus that of the first."""
    interval: tuple[float, float] | None = None
    """95 % interval of the difference for paired images (Agresti and Min 2005)."""
    p_exact: float | None = None
    """Two-sided, binomial; never too small."""
    p_mid: float | None = None
    """Mid-p, less conservative (Fagerland, Lydersen and Laake 2013)."""
    p_adjusted: float | None = None
    """The mid-p value after Holm's correction for the pairs of this comparison."""


class RecipeDifference(Document):
    """One setting that is not the same in all runs."""

    path: str
    values: list[Any]
    """In the order of the runs; `null` also where a run lacks the setting."""
    present: list[bool]
    """Whether a run has the setting at all."""


class CompareDocument(Document):
    """The result of `artifacts compare`."""

    schema_: Annotated[Literal["cifar-dist/compare/1"], Field(alias="schema")] = (
        "cifar-dist/compare/1"
    )
    store: str
    runs: Annotated[list[ComparedRun], Field(min_length=2)]
    tests: list[PairedTest]
    """One of each pair."""
    differences: list[RecipeDifference]
    same_data: bool
    """Whether all runs have the same images, by their hash."""
    same_split: bool
    """Whether the same of them are held out for validation."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class ClassProbability(Document):
    """How probable a model finds a class."""

    name: str
    probability: float


class ImagePrediction(Document):
    """What a model sees in one image file."""

    path: str
    predictions: list[ClassProbability]
    """Most probable first."""
    cam: str | None = None
    """The file that shows where in the image the model saw the first of them."""


class SkippedFile(Document):
    """A file that could not be read as an image."""

    path: str
    reason: str


class PredictDocument(Document):
    """The result of `predict`."""

    schema_: Annotated[Literal["cifar-dist/predict/1"], Field(alias="schema")] = (
        "cifar-dist/predict/1"
    )
    model: str
    """An architecture whose weights come with the package, or the run they are from."""
    classes: list[str]
    images: list[ImagePrediction]
    skipped: list[SkippedFile]

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class OnnxCheck(Document):
    """An exported graph against the PyTorch model, image by image."""

    source: str
    """Whose validation images they are."""
    images: int
    max_difference: float
    """Largest absolute difference of two logits."""
    disagreements: int
    """Images whose predicted class differs."""
    onnxruntime: str


class ExportDocument(Document):
    """The result of `artifacts export`."""

    schema_: Annotated[Literal["cifar-dist/export/1"], Field(alias="schema")] = (
        "cifar-dist/export/1"
    )
    model: str
    format: ExportFormat
    folder: str
    files: list[ArtifactRow]
    """Keys are names in the folder."""
    check: OnnxCheck | None = None

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class IndexRow(Document):
    """One run or sweep of a store."""

    id: str
    kind: Literal["run", "sweep"]
    state: Literal["finished", "failed", "unfinished", "damaged"]
    reason: str | None = None
    """What is damaged."""
    model: str | None = None
    data: str | None = None
    epochs: int | None = None
    """That were trained; of a sweep in all trials."""
    trials: int | None = None
    best_trial: int | None = None
    validation_accuracy: float | None = None
    test_accuracy: float | None = None
    seconds: float | None = None
    """Wall time; of a run that was resumed at least that of its training."""
    began: str
    """When its first document was stored, in UTC, as 2026-01-31T12:00:00Z."""
    report: str | None = None
    """Where its page lies, relative to the store."""


class IndexDocument(Document):
    """The result of `report index`: everything in a store, newest first."""

    schema_: Annotated[Literal["cifar-dist/index/1"], Field(alias="schema")] = "cifar-dist/index/1"
    store: str
    rows: list[IndexRow]

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)
