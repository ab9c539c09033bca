"""What a sweep or a training is expected to cost, before anything is spent on it."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from cifar_dist.documents.document import Document


class PlannedModel(Document):
    """What was timed here for trials whose steps cost alike."""

    label: str
    model: str
    parameters: int
    batch_size: int
    share_ratio: float
    """Of all trials, those that it stands for included."""
    stands_for: list[str]
    """Others that were not timed, with this one's figures in place of theirs."""
    steps_timed: int
    step_seconds: float
    """Median."""
    step_seconds_low: float
    step_seconds_high: float
    images_per_second: float
    """Of training, evaluation not counted."""
    epoch_seconds: float
    """Every training image once, then every validation image."""
    epoch_seconds_low: float
    epoch_seconds_high: float
    memory_bytes: int
    """The most that this process held meanwhile: images, model, optimizer, a step's activations."""
    gpu_memory_bytes: int | None
    gradient_bytes: int
    """What the workers of one training would add up in each step."""
    checkpoint_bytes: int


class PlannedStage(Document):
    """What the trials train between two decisions of ASHA; a training has one."""

    until_epoch: int
    trials_expected: float
    trials_low: float
    trials_high: float
    epochs_expected: float
    """Of all these trials together."""
    epochs_low: float
    epochs_high: float
    trial_seconds_expected: float


class PlannedTotal(Document):
    """One figure of the whole, its unit in its name."""

    name: str
    expected: float
    low: float
    high: float
    most: float
    """If ASHA stopped nothing and every step took its longest."""


class PlannedFit(Document):
    """Something that is needed beside what there is of it."""

    name: str
    """Its unit stands in it."""
    needed: float
    available: float | None
    """Null where it cannot be known from here."""
    verdict: Literal["ok", "warning", "failed"]
    remedy: str | None
    """What to do; null where nothing is to be done."""


class PlannedScaling(Document):
    """One training on so many workers, on paper."""

    workers: int
    step_seconds: float
    communication_seconds: float
    """Of a step: what adding up gradients and batch statistics takes, none of it hidden."""
    epoch_seconds: float
    images_per_second: float
    efficiency_ratio: float
    """Of the speed of one worker times their number."""


class PlanDocument(Document):
    """The result of `plan`."""

    schema_: Annotated[Literal["cifar-dist/plan/1"], Field(alias="schema")] = "cifar-dist/plan/1"
    name: str
    kind: Literal["sweep", "run"]
    source: str
    train_images: int
    validation_images: int
    measured_on: str
    """The machine whose speed this is; another one differs."""
    device: str
    precision: str
    precision_reason: str
    threads: int
    """Of each trial, and of the timed steps."""
    trials: int
    slots: int
    """Trials at once."""
    workers: int
    """Of each trial."""
    models: list[PlannedModel]
    """Most frequent first."""
    stages: list[PlannedStage]
    totals: list[PlannedTotal]
    fits: list[PlannedFit]
    scaling: list[PlannedScaling]
    """Empty unless several workers train one model."""
    gigabits_per_second: float
    """Assumed between workers."""
    assumptions: list[str]
    """What was not measured, a sentence each."""
    exit_code: int
    """Not 0 if something does not fit."""
    seconds: float
    """What planning took."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)
