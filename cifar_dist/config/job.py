"""Job, Recipe, Placement and S3: what is learned, where it runs and where the results go."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cifar_dist.config.endpoints import endpoint_fault

Precision = Literal[
    "auto", "fp32", "fp32_channels_last", "bf16", "bf16_depthwise_fp32", "bf16_compiled"
]
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
    checkpoint_seconds: Annotated[int, Field(ge=1, le=86_400)] | None = 60
    """Training between two checkpoints inside an epoch; null leaves one after each epoch only."""
    concurrency: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Trials of a sweep at once; null: as many as the cluster has room for."""
    collective_timeout_seconds: Annotated[int, Field(ge=5, le=3600)] = 120
    """A worker that waits longer than this for the others counts as hung."""
    cpu_hour_price: Annotated[float, Field(ge=0, le=1_000_000)] | None = None
    """What an hour of a reserved CPU costs, in any currency; null leaves it out of the cost."""
    gpu_hour_price: Annotated[float, Field(ge=0, le=1_000_000)] | None = None
    """What an hour of a reserved GPU costs, in the same currency."""
    deterministic: bool = False
    """Only GPU kernels with a fixed order of sums: same GPUs and software, same bits."""


class S3(_Closed):
    """How an S3 store is reached; null leaves it to the settings of the machine that asks.

    Keys never stand here: they come from the AWS SDK's own chain on each machine.
    """

    endpoint: str | None = None
    """Address of the server: https://host, or http://host:port on this machine or inside a cluster.
    Null: AWS_ENDPOINT_URL, and without it Amazon's."""
    region: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,63}$")] | None = None
    """Region that requests are signed for; null: AWS_REGION, or the profile's."""
    path_style: bool | None = None
    """Whether the bucket stands in the path; null: in the host's name for Amazon alone."""
    checksums: Literal["when_required", "when_supported"] | None = None
    """When the SDK adds checksums of its own; null: AWS_REQUEST_CHECKSUM_CALCULATION, or required.
    Every upload names its SHA-256 anyway, and servers other than Amazon's may refuse more."""
    ca_bundle: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """File with the CA of the server's certificate; a path that each machine looks up on its own
    disk. Null, or where there is no such file: AWS_CA_BUNDLE of that machine."""
    single_writer: bool | None = None
    """True promises that one process writes, for servers without conditional writes; null:
    CIFAR_DIST_STORE_SINGLE_WRITER."""
    deadline_seconds: Annotated[float, Field(ge=0, le=86_400)] | None = None
    """How long a fault is waited out; null: CIFAR_DIST_STORE_DEADLINE_SECONDS, or 300."""

    @field_validator("endpoint")
    @classmethod
    def _is_an_address(cls, endpoint: str | None) -> str | None:
        # Whether http may leave this machine is asked where a client is made: a stored job can
        # always be read.
        if endpoint is not None and (fault := endpoint_fault(endpoint, may_be_plain=True)):
            raise ValueError(fault)
        return endpoint


class Job(_Closed):
    """Everything that was asked for, in one frozen value."""

    name: Annotated[str, Field(pattern=NAME_PATTERN)] | None = None
    """First part of the run's id; null takes the model's name."""
    recipe: Recipe = Recipe()
    placement: Placement = Placement()
    tensorboard: Literal["off", "scalars", "histograms"] = "scalars"
    """TensorBoard event files beside a run's checkpoints; histograms show every weight."""
    test: bool = True
    """Whether the best weights are evaluated on the test split at the end."""
    store: Annotated[str, Field(min_length=1, max_length=1024)] = "artifacts"
    """A folder or s3://bucket/prefix for checkpoints, ledgers and reports."""
    s3: S3 = S3()
    """How a store, or data, in S3 is reached."""

    @property
    def title(self) -> str:
        """The name that run ids start with."""
        return self.name or self.recipe.model.name.replace("_", "-")
