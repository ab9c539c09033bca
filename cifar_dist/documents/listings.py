"""What the zoo, the data sources and a store hold."""

from math import prod
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from cifar_dist.documents.document import Document, Split
from cifar_dist.documents.evaluation import Evaluation, Score
from cifar_dist.documents.results import DataFacts, Provenance

RunState = Literal["finished", "unfinished", "damaged"]


class LayerRow(Document):
    """One row of a layer table, in torchsummary's order."""

    index: int
    type: str
    output_shape: list[int]
    """Without the batch dimension."""
    parameters: int
    multiply_accumulates: int

    @property
    def activation_bytes(self) -> int:
        """Its output for one image in fp32."""
        return 4 * prod(self.output_shape)


class FieldRow(Document):
    """One row of a receptive-field table."""

    layer: str
    kernel: int
    stride: int
    padding: int
    dilation: int
    size: int
    jump: int
    field: int


class ModelDocument(Document):
    """One architecture of the zoo."""

    name: str
    description: str
    parameters: int
    multiply_accumulates: int
    """For one 32×32 image."""
    options: dict[str, Any]
    layers: list[LayerRow] = Field(default_factory=list)
    receptive_field: list[FieldRow] = Field(default_factory=list)
    megabytes: dict[str, float] = Field(default_factory=dict)
    """The footer of a torchsummary table: input, activations, parameters, total."""


class ModelsDocument(Document):
    """The zoo."""

    schema_: Annotated[Literal["cifar-dist/models/1"], Field(alias="schema")] = (
        "cifar-dist/models/1"
    )
    models: list[ModelDocument]

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class WeightsDocument(Document):
    """Packaged weights, and the run that they are the best epoch of."""

    schema_: Annotated[Literal["cifar-dist/weights/1"], Field(alias="schema")] = (
        "cifar-dist/weights/1"
    )
    bytes: int
    sha256: str
    recipe: dict[str, Any]
    data: DataFacts
    provenance: Provenance
    validation: Score | None
    test: Score
    train_seconds: float

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class EvaluateDocument(Evaluation):
    """The result of `evaluate`: its evaluation, and what was evaluated on what."""

    schema_: Annotated[Literal["cifar-dist/evaluate/1"], Field(alias="schema")] = (
        "cifar-dist/evaluate/1"
    )
    weights: str
    """What was asked for: a run, a sweep, a folder or an architecture."""
    model: str
    accuracy: float
    loss: float | None
    data: DataFacts
    """Of the images that were evaluated."""
    trained_on: str
    """SHA-256 of the data that the weights come from."""
    seed: int
    provenance: Provenance

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class ProposedTrial(Document):
    """A trial that would be run."""

    trial: int
    parameters: dict[str, Any]
    """The overrides that make this trial."""


class PreviewDocument(Document):
    """What a sweep would try, before anything runs."""

    schema_: Annotated[Literal["cifar-dist/preview/1"], Field(alias="schema")] = (
        "cifar-dist/preview/1"
    )
    name: str
    description: str
    sampler: str
    job: dict[str, Any]
    count: int
    """Trials of the sweep, the base job included."""
    grid_size: int | None
    """Different configurations that the space has; null where a range is continuous."""
    trials: list[ProposedTrial]
    """The first of them."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class SplitStatistics(Document):
    """Pixel statistics of one split, per channel, of pixels scaled to 0…1."""

    split: Split
    images: int
    shape: list[int]
    min: list[float]
    max: list[float]
    mean: list[float]
    std: list[float]
    variance: list[float]
    class_counts: dict[str, int]


class DataOrigin(Document):
    """What the arrays of a prepared source were made from."""

    kind: Literal["sample", "cifar10", "synthetic", "folder", "tar"]
    files: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of each archive or batch that was read, by name."""
    converted_images: int = 0
    """Gray, palette or opaque RGBA images that were made RGB."""
    resized_images: int = 0
    """Larger square images that were averaged down to 32×32."""


class DataDocument(Document):
    """A prepared data source."""

    schema_: Annotated[Literal["cifar-dist/data/1"], Field(alias="schema")] = "cifar-dist/data/1"
    data: DataFacts
    splits: list[SplitStatistics]
    cache: str
    origin: DataOrigin | None = None
    citation: str | None = None
    """Whom to cite for the images; null where it is not known."""
    published: str | None = None
    """The source's name in the store that it was pushed to."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class ArtifactRow(Document):
    """One object in a store."""

    key: str
    bytes: int
    sha256: str | None = None
    verdict: str | None = None
    modified: str | None = None
    """When it was written, of a run or sweep its newest object, by the storage's clock in UTC."""


class ServingCheckpoint(Document):
    """A checkpoint that a run is resumed from or known by, and whether it can be."""

    run: str
    name: str
    """`latest`, `best` or the name of a pin."""
    key: str | None
    """Its folder; null for the latest of a run that has none intact."""
    verdict: Literal["intact", "damaged", "missing"]


class ArtifactsDocument(Document):
    """What a store holds, or what was fetched or verified."""

    schema_: Annotated[Literal["cifar-dist/artifacts/1"], Field(alias="schema")] = (
        "cifar-dist/artifacts/1"
    )
    store: str
    artifacts: list[ArtifactRow]
    serving: list[ServingCheckpoint] = Field(default_factory=list)
    """After a verification: what still serves."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class PinsDocument(Document):
    """The names that point at checkpoints of a run, after one was set or taken away."""

    schema_: Annotated[Literal["cifar-dist/pins/1"], Field(alias="schema")] = "cifar-dist/pins/1"
    store: str
    run: str
    """Of a sweep, its winner."""
    pins: dict[str, str]
    """The checkpoint's folder by name."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class KeptCheckpoint(Document):
    """A checkpoint that stays."""

    key: str
    """Its folder."""
    why: list[str]


class GcRow(Document):
    """What goes of a run or sweep, and what stays of its checkpoints."""

    key: str
    state: RunState
    objects: int
    """How many go."""
    bytes: int
    """How many go."""
    kept: list[KeptCheckpoint]
    note: str | None = None
    """Why it was left alone as a whole."""


class GcDocument(Document):
    """What a cleaning up removed, or would remove."""

    schema_: Annotated[Literal["cifar-dist/gc/1"], Field(alias="schema")] = "cifar-dist/gc/1"
    store: str
    dry_run: bool
    """Whether nothing was changed."""
    rows: list[GcRow]
    objects: int
    bytes: int
    unfinished_uploads: int
    """Uploads of killed writers, and files that they left half-written."""
    older_than_seconds: float
    """The least age of unfinished uploads."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)
