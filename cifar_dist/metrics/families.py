"""Every metric of a driver: its name, its kind, its labels beside `run`, and what it means."""

from typing import Literal, NamedTuple

Kind = Literal["gauge", "counter", "histogram"]


class Family(NamedTuple):
    """A metric with all its series; each of them has the label `run`, but for the build's."""

    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


PREFIX = "cifar_dist_"
BUILD = "build_info"
CHECKPOINT_SECONDS = "checkpoint_seconds"

_SWEEP = {
    "trials": Family("gauge", "Trials of a sweep by where they stand.", ("state",)),
    "trials_planned": Family("gauge", "Trials that a sweep shall have."),
    "slots": Family("gauge", "Trials that can run at once."),
    "rung_trials": Family(
        "gauge", "Trials that reached a rung of ASHA, by the rung's epoch.", ("epoch",)
    ),
    "best_accuracy_ratio": Family(
        "gauge", "Best validation accuracy of a trial that ended, 0 to 1; absent before the first."
    ),
    "eta_seconds": Family(
        "gauge", "Seconds until the end at the pace so far; absent until there is one."
    ),
    "budget_used_ratio": Family(
        "gauge",
        "Share of the sweep's budget that is spent, of seconds, CPU-hours, GPU-hours or cost the "
        "nearest to its end; absent without a budget.",
    ),
}
_WORK = {
    "epochs_total": Family("counter", "Epochs that ended since the driver's start."),
    "images_total": Family("counter", "Training images seen since the driver's start."),
    "images_per_second": Family(
        "gauge", "Training images per second, of all trials that run, each as of its last epoch."
    ),
    "worker_seconds_total": Family(
        "counter",
        "Seconds of a sweep's slots or a run's workers: busy with training, starting (up to the "
        "first step), or idle; slots that were never held are not idle.",
        ("state",),
    ),
    "goodput_ratio": Family("gauge", "Busy share of all worker seconds; absent before the first."),
    "last_epoch_timestamp_seconds": Family(
        "gauge", "Unix time of the newest epoch; of the driver's start before the first."
    ),
}
_RUN = {
    "epoch": Family("gauge", "Finished epochs of a run."),
    "train_loss": Family("gauge", "Mean training loss of a run's last epoch."),
    "validation_loss": Family("gauge", "Validation cross-entropy of a run's last epoch."),
    "validation_accuracy_ratio": Family("gauge", "Validation accuracy of its last epoch, 0 to 1."),
    "learning_rate": Family("gauge", "Learning rate at the end of a run's last epoch."),
    "diverged_total": Family("counter", "Runs or trials whose loss was not finite any more."),
}
_STORAGE = {
    CHECKPOINT_SECONDS: Family("histogram", "Seconds that storing a checkpoint took."),
    "checkpoint_bytes_total": Family("counter", "Bytes of the checkpoints that were stored."),
    "checkpoint_failures_total": Family("counter", "Checkpoints that could not be stored."),
    "last_checkpoint_timestamp_seconds": Family(
        "gauge", "Unix time of the newest stored checkpoint; of the driver's start before that."
    ),
    "upload_queue": Family("gauge", "Checkpoints handed over and not stored yet."),
    "upload_lag_seconds": Family("gauge", "Age of the oldest checkpoint that is not stored yet."),
    "storage_retries_total": Family("counter", "Requests to storage that were sent again."),
}
_FAULTS = {
    "restarts_total": Family(
        "counter", "Times that a run or a trial was taken up again after its workers were lost."
    ),
    "preemptions_total": Family("counter", "Machines that were taken away from workers."),
}
_COST = {
    "cpu_seconds_total": Family("counter", "Seconds of reserved CPUs, in use or not."),
    "gpu_seconds_total": Family("counter", "Seconds of reserved GPUs, in use or not."),
    "cost_total": Family(
        "counter",
        "Price of the reserved CPUs and GPUs since the driver's start; absent without "
        "placement.cpu_hour_price and placement.gpu_hour_price.",
    ),
    "sweep_gpu_seconds": Family("gauge", "Seconds of a sweep's reserved GPUs, of all attempts."),
    "sweep_cost": Family("gauge", "Price of a sweep's CPUs and GPUs, of all attempts."),
}

FAMILIES = {
    BUILD: Family("gauge", "Always 1; tells the program's version.", ("version",)),
    **_SWEEP, **_WORK, **_RUN, **_STORAGE, **_FAULTS, **_COST,
}  # fmt: skip
"""All of them, without their prefix."""
