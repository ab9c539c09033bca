"""A plan as text: tables with text on the left and numbers on the right."""

from cifar_dist.documents.plan import PlanDocument, PlannedFit, PlannedTotal
from cifar_dist.report.columns import aligned
from cifar_dist.report.formats import (
    DASH,
    counted,
    decimal,
    duration,
    percent,
    size,
    thousands,
)

_NAMES = {
    "epochs": "epochs of all trials",
    "trial_seconds": "time of all trials",
    "wall_seconds": "wall time",
    "cpu_hours": "CPU-hours",
    "gpu_hours": "GPU-hours",
    "cost": "money",
    "checkpoint_bytes": "checkpoints",
    "cpus": "CPUs",
    "memory_bytes": "memory",
    "gpu_memory_bytes": "memory of a GPU",
    "store_bytes": "room in the store",
    "budget_seconds": "budget of wall time",
    "budget_cpu_hours": "budget of CPU-hours",
    "budget_gpu_hours": "budget of GPU-hours",
    "budget_cost": "budget of money",
}


def plan_text(document: PlanDocument) -> str:
    """Write the whole plan, with what it rests on."""
    tables = [_models(document), _stages(document), _totals(document), _fits(document)]
    tables += [_scaling(document)] if document.scaling else []
    notes = [f"Assumed: {sentence}" for sentence in document.assumptions]
    return "\n\n".join(["\n".join(_head(document)), *tables, "\n".join([*notes, _end(document)])])


def _head(document: PlanDocument) -> list[str]:
    images = (
        f"{thousands(document.train_images)} training and "
        f"{thousands(document.validation_images)} validation images of {document.source}"
    )
    what = f"training {document.name}"
    if document.kind == "sweep":
        what = (
            f"sweep {document.name}: {counted(document.trials, 'trial')}, {document.slots} at once"
        )
    if document.workers > 1:
        what = f"{what}, {document.workers} workers each"
    return [
        f"{what}; {images}",
        f"this machine: {document.measured_on}; another one differs",
        f"steps timed on {document.device} with {counted(document.threads, 'thread')}, "
        f"{document.precision} ({document.precision_reason})",
    ]


def _models(document: PlanDocument) -> str:
    header = ["model", "trials", "step", "epoch", "images/s", "memory", "checkpoint"]
    rows = []
    for model in document.models:
        rows.append(
            [
                model.label,
                percent(model.share_ratio, 0),
                duration(model.step_seconds),
                duration(model.epoch_seconds),
                thousands(model.images_per_second),
                size(model.gpu_memory_bytes or model.memory_bytes),
                size(model.checkpoint_bytes),
            ]
        )
        rows += [[f"  stands for {label}", *[""] * 6] for label in model.stands_for]
    return aligned(header, rows)


def _stages(document: PlanDocument) -> str:
    header = ["until epoch", "trials", "of 95 %", "epochs", "time of all trials"]
    rows = [
        [
            str(stage.until_epoch),
            decimal(stage.trials_expected, 1),
            f"{thousands(stage.trials_low)} to {thousands(stage.trials_high)}",
            decimal(stage.epochs_expected, 1),
            duration(stage.trial_seconds_expected),
        ]
        for stage in document.stages
    ]
    return aligned(header, rows, left=())


def _totals(document: PlanDocument) -> str:
    header = ["in all", "expected", "from", "to", "at most"]
    rows = [
        [_NAMES[row.name], *(_written(row.name, number) for number in _numbers(row))]
        for row in document.totals
    ]
    return aligned(header, rows)


def _numbers(row: PlannedTotal) -> tuple[float, ...]:
    return row.expected, row.low, row.high, row.most


def _fits(document: PlanDocument) -> str:
    header = ["verdict", "what", "needed", "there"]
    rows = [
        [row.verdict, _NAMES[row.name], _written(row.name, row.needed), _there(row)]
        for row in document.fits
    ]
    remedies = [
        f"{row.verdict}: {_NAMES[row.name]}: {row.remedy}" for row in document.fits if row.remedy
    ]
    return "\n".join([aligned(header, rows, left=(0, 1)), *remedies])


def _there(row: PlannedFit) -> str:
    return DASH if row.available is None else _written(row.name, row.available)


def _scaling(document: PlanDocument) -> str:
    header = ["workers, on paper", "step", "adding up", "epoch", "images/s", "efficiency"]
    rows = [
        [
            thousands(row.workers),
            duration(row.step_seconds),
            duration(row.communication_seconds),
            duration(row.epoch_seconds),
            thousands(row.images_per_second),
            percent(row.efficiency_ratio, 0),
        ]
        for row in document.scaling
    ]
    return aligned(header, rows, left=())


def _end(document: PlanDocument) -> str:
    failed = [row.name for row in document.fits if row.verdict == "failed"]
    verdict = f"{counted(len(failed), 'thing')} will not fit" if failed else "all of it fits"
    return f"{verdict}; planned in {duration(document.seconds)}"


def _written(name: str, number: float) -> str:
    if name.endswith("seconds"):
        return duration(number)
    if name.endswith("bytes"):
        return size(round(number))
    if name.endswith(("hours", "cost")):
        return f"{number:,.2f}" if number >= 1 else f"{number:.2g}"
    return f"{number:,.4g}"
