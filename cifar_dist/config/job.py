"""Job, Recipe and Placement: what is learned, where it runs and where the results go."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Precision = Literal["auto", "fp32", "fp32_channels_last", "bf16", "bf16_depthwise_fp32"]
RateFactor = Annotated[float, Field(gt=0, le=1_000)]
NAME_PATTERN = r"^[a-z0-9][a-z0-9-]{0,40}$"


class _Closed(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        # A component's NaN would be written as null, which may be a valid option.
        ser_json_inf_nan="constants",
        use_attribute_docstrings=True,
    )


class Component(BaseModel):
    """A registered factory and its options, written flat: `{name: sgd, lr: 0.1}`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: Annotated[str, Field(max_length=64)]
    """The factory's name; setting it drops the options beside it."""

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


def _component(name: str, **options: Any) -> Any:
    return Field(default_factory=lambda: Component(name=name, **options))


class Recipe(_Closed):
    """What is learned; where it runs never changes this."""

    data: Annotated[str, Field(min_length=1, max_length=1024)] = "sample"
    """Where images come from: sample, cifar10, a folder or tar of class folders, a pushed URI."""
    validation_fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Share of each class held out for validation; 0 trains on all and keeps the last epoch."""
    model: Component = _component("speednet")
    """The architecture."""
    augmentation: Annotated[tuple[Component, ...], Field(max_length=16)] = Field(
        default_factory=lambda: (
            Component(name="alternating_flip"),
            Component.model_validate({"name": "pad_crop", "padding": 2}),
        )
    )
    """Applied in this order to each training batch."""
    optimizer: Component = _component("muon")
    """The optimizer and its learning rate."""
    schedule: Component = _component("linear")
    """How the learning rate moves over the run."""
    warmup_epochs: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """Epochs of linear rise in front of the schedule."""
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 10
    """How often the training images are seen."""
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 125
    """Images of one optimizer step over all workers together."""
    norm_bias_lr_factor: RateFactor = 1.0
    """Learning rate of the biases of norms, relative to the optimizer's."""
    head_lr_factor: RateFactor = 1.0
    """Learning rate of the last layer, relative to the optimizer's."""
    gradient_clip_norm: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    """Largest norm of the whole gradient of a step; a longer one is scaled down to it."""
    accumulation: Annotated[int, Field(ge=1, le=65_536)] = 1
    """Parts that a batch is worked through in, to save memory; batch norm sees one at a time."""
    averaging: Component = _component("none")
    """Average of the weights over time that is the model in place of the last step's."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of each training label spread over all classes."""
    batch_norm: Literal["synchronized", "local"] = "synchronized"
    """Statistics of the global batch, or of each worker's own share."""
    precision: Precision = "auto"
    """Arithmetic of training; auto is probed once per run. Reported evaluation is always fp32."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Root of every random stream."""

    @model_validator(mode="after")
    def _warmup_fits(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs={self.warmup_epochs} must be less than epochs={self.epochs}"
            )
        return self

    @model_validator(mode="after")
    def _parts_hold_images(self) -> Self:
        if self.accumulation > self.batch_size:
            raise ValueError(
                f"accumulation={self.accumulation} must not exceed batch_size={self.batch_size}"
            )
        return self

    @model_validator(mode="after")
    def _plateau_can_be_seen(self) -> Self:
        if self.schedule.name == "plateau" and self.validation_fraction == 0:
            raise ValueError(
                "schedule plateau follows the validation loss and validation_fraction=0 leaves "
                "none; set it above 0 or choose another schedule"
            )
        return self


class Placement(_Closed):
    """Where it runs; null means chosen from what the machine or cluster has."""

    workers: Annotated[int, Field(ge=0, le=1024)] | None = None
    """Training processes; 0 trains in this one, without Ray. Null: one per visible GPU, else 0."""
    cpus_per_worker: Annotated[float, Field(gt=0, le=1024)] | None = None
    """CPUs reserved for a worker or a trial."""
    gpus_per_worker: Annotated[float, Field(ge=0, le=16)] | None = None
    """GPUs reserved for a worker or a trial; a fraction lets trials share one."""
    max_failures: Annotated[int, Field(ge=0, le=100)] = 3
    """Restarts after a worker died before the run counts as failed."""
    concurrency: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Trials of a sweep at once; null: as many as the cluster has room for."""
    collective_timeout_seconds: Annotated[int, Field(ge=5, le=3600)] = 120
    """A worker that waits longer than this for the others counts as hung."""


class Job(_Closed):
    """Everything that was asked for, in one frozen value."""

    name: Annotated[str, Field(pattern=NAME_PATTERN)] | None = None
    """First part of the run's id; null takes the model's name."""
    recipe: Recipe = Recipe()
    placement: Placement = Placement()
    tensorboard: Literal["off", "scalars", "histograms"] = "scalars"
    """TensorBoard event files beside a run's checkpoints; histograms show every weight."""
    store: Annotated[str, Field(min_length=1, max_length=1024)] = "artifacts"
    """A folder or s3://bucket/prefix for checkpoints, ledgers and reports."""

    @property
    def title(self) -> str:
        """The name that run ids start with."""
        return self.name or self.recipe.model.name.replace("_", "-")
