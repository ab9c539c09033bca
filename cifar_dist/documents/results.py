"""What a run and a sweep came to."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from cifar_dist.documents.document import Document
from cifar_dist.documents.evaluation import Evaluation, Overfitting, Score
from cifar_dist.documents.frame import frame
from cifar_dist.documents.sweeps import Confirmation, TrialShare, TrialSpan

TrialState = Literal["finished", "pruned", "failed"]


class EpochRecord(Document):
    """What one epoch did."""

    epoch: int
    """Counted from 1."""
    train_loss: float | None
    """Mean training loss as optimized (smoothed labels, augmented images); null if it diverged."""
    train_accuracy: float
    validation_loss: float | None
    """Plain cross-entropy in fp32; null without a validation split."""
    validation_accuracy: float | None
    lr: float
    """Learning rate of the epoch's last step."""
    seconds: float
    """Training steps of this epoch, evaluation excluded."""
    images_per_second: float


def best_epoch(history: Sequence[EpochRecord]) -> int:
    """Give the epoch with the lowest validation loss, or the last one without validation."""
    scored = [(r.validation_loss, r.epoch) for r in history if r.validation_loss is not None]
    return min(scored)[1] if scored else len(history)


class DataFacts(Document):
    """Which images a figure comes from."""

    source: str
    sha256: str
    """Over the prepared pixels and labels."""
    classes: list[str]
    train_images: int
    validation_images: int
    test_images: int
    split_sha256: str
    """Over the validation indices."""


class Provenance(Document):
    """What a result was made with."""

    code_version: str
    code_revision: str | None
    python: str
    torch: str
    device: str
    cpus: int
    workers: int
    precision: str
    precision_reason: str
    lock_sha256: str | None


class AttemptRecord(Document):
    """One life of a run: it begins where the one before it was last committed."""

    number: int
    """Counted from 1."""
    workers: int
    resumed_step: int | None
    """Optimizer steps that were done; null for an attempt that began at the beginning."""


class StorageCost(Document):
    """What a run's last attempt gave to storage, and the time that it took from training."""

    committed: int
    """Checkpoints that were stored."""
    superseded: int
    """Checkpoints that a newer one overtook while they waited for storage."""
    sent_bytes: int
    waited_seconds: float
    """In which training stood still: copying its state, handing it over, waiting for the last."""


class TrainDocument(Document):
    """The result of `train`; `report.json` of a run."""

    schema_: Annotated[Literal["cifar-dist/train/1"], Field(alias="schema")] = "cifar-dist/train/1"
    run: str
    store: str
    state: Literal["finished", "interrupted", "failed"]
    job: dict[str, Any]
    data: DataFacts
    provenance: Provenance
    parameters: int
    history: list[EpochRecord]
    best_epoch: int
    validation: Score | None
    test: Evaluation | None
    images_per_second: float
    train_seconds: float
    total_seconds: float
    artifacts: dict[str, str]
    """What lies where: name to key under the store."""
    attempts: tuple[AttemptRecord, ...] = ()
    """In the order they began; more than one means that the run was resumed."""
    storage: StorageCost | None = None
    validation_evaluation: Evaluation | None = None
    overfitting: Overfitting | None = None
    """Null without a validation split."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    def to_frame(self) -> Any:
        """Give the history as a pandas DataFrame, one row per epoch."""
        return frame([record.model_dump() for record in self.history])


class Rung(Document):
    """A trial's value where ASHA decided about it."""

    epoch: int
    value: float


class TrialRow(Document):
    """One trial of a sweep."""

    trial: int
    state: TrialState
    reason: str | None = None
    """Why it failed or was pruned."""
    parameters: dict[str, Any]
    """The overrides that make this trial."""
    epochs: int
    best_epoch: int | None
    validation_loss: float | None
    validation_accuracy: float | None
    """At the best epoch, the one with the lowest validation loss."""
    rungs: list[Rung]
    history: list[EpochRecord]
    start_seconds: float | None
    """Slot free to first optimizer step."""
    train_seconds: float
    """Of all its epochs, the replaced ones as well."""
    replaced_epochs: int = 0
    """Those of shorter trainings at earlier rungs, where `asha.rungs` is restart; the history and
    `epochs` are those of the newest training."""


class SweepCost(Document):
    """What a sweep spent."""

    wall_seconds: float
    cpu_seconds: float
    gpu_seconds: float
    epochs_run: int
    epochs_without_pruning: int
    """If each trial were trained once, to its end."""
    planned_cpu_seconds: float | None = None
    """What was expected from the steps timed at the start; null if that does not hold for all."""
    planned_gpu_seconds: float | None = None
    """The same of GPUs."""
    actual_over_planned: float | None = None
    """What was spent as a multiple of it; of GPUs if there are any."""
    epochs_replaced: int = 0
    """Of those run: of shorter trainings that a longer one replaced."""


class TuneDocument(Document):
    """The result of `tune`; `report.json` of a sweep."""

    schema_: Annotated[Literal["cifar-dist/tune/1"], Field(alias="schema")] = "cifar-dist/tune/1"
    sweep: str
    store: str
    space: dict[str, Any]
    job: dict[str, Any]
    data: DataFacts
    provenance: Provenance
    trials: Annotated[list[TrialRow], Field(min_length=1)]
    best: int | None
    """Number of the winning trial; null when every trial failed."""
    best_job: dict[str, Any] | None
    """The winning trial's complete job; null when every trial failed."""
    winner_run: str | None
    """Key prefix of the run whose weights are the winner's."""
    validation: Score | None
    test: Evaluation | None
    finished: int
    pruned: int
    failed: int
    start_seconds_median: float | None
    cost: SweepCost
    artifacts: dict[str, str]
    slots: int | None = None
    """Trials that could run at once; null if that was not kept."""
    spans: tuple[TrialSpan, ...] = ()
    """In the order they ended."""
    confirmed: Confirmation | None = None
    validation_evaluation: Evaluation | None = None
    """The winner's."""
    trial_share: TrialShare | None = None
    """Null where the placement says it."""
    ended_by: str | None = None
    """Which part of its budget ended the sweep before all was tried; null if none did."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    def settings(self, trial: TrialRow) -> dict[str, Any]:
        """Give a trial's values at the paths that were searched, as far as it has them."""
        found: dict[str, Any] = {}
        # Trial 0 is the base job itself.
        for path in self.space.get("space", ()) if trial.trial == 0 else ():
            with suppress(LookupError, TypeError, ValueError):
                found[path] = value_at(self.job, path)
        return found | trial.parameters

    def to_frame(self) -> Any:
        """Give the trials as a pandas DataFrame, with a column for each path that was searched."""
        return frame([self._row(trial) for trial in self.trials])

    def _row(self, trial: TrialRow) -> dict[str, Any]:
        settings = self.settings(trial)
        row = trial.model_dump(exclude={"parameters", "rungs", "history"})
        return row | {path: settings.get(path) for path in self.space.get("space", ())}


def value_at(job: dict[str, Any], path: str) -> Any:
    """Give what stands at a dotted path. Raises LookupError, TypeError or ValueError."""
    value: Any = job
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value
